/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of musl's vsnprintf() and snprintf(), which bring floating
 * point and stdio along: a third of the launcher.  Knows what the launcher and
 * the base library use: %s %.*s %d %u %lu %llu %zu %x %c %%, with '0', '-' and width. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct out {
	char *at;
	size_t size, n;
};

static void put(struct out *o, const char *s, size_t n)
{
	for (; n; n--, s++, o->n++)
		if (o->n + 1 < o->size)
			o->at[o->n] = *s;
}

static void pad(struct out *o, char c, size_t n)
{
	while (n--)
		put(o, &c, 1);
}

struct spec {
	bool zero, left, has_precision;
	size_t width, precision;
	unsigned longs; /* "l" or "z" count as a long */
};

static const char *parse(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){0};
	for (; *f == '0' || *f == '-'; f++) {
		s->zero |= *f == '0';
		s->left |= *f == '-';
	}
	for (; *f >= '0' && *f <= '9'; f++)
		s->width = s->width * 10 + (size_t)(*f - '0');
	if (*f == '.') {
		s->has_precision = true;
		if (*++f == '*') {
			s->precision = (size_t)va_arg(*ap, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			s->precision = s->precision * 10 + (size_t)(*f - '0');
	}
	for (; *f == 'l' || *f == 'z'; f++)
		s->longs++;
	return f;
}

static void field(struct out *o, const struct spec *s, const char *text, size_t n)
{
	size_t fill = s->width > n ? s->width - n : 0;

	if (!s->left)
		pad(o, s->zero ? '0' : ' ', fill);
	put(o, text, n);
	if (s->left)
		pad(o, ' ', fill);
}

static void number(struct out *o, const struct spec *s, uint64_t v, bool negative, unsigned base)
{
	char digits[24];
	size_t n = sizeof(digits);

	do
		digits[--n] = "0123456789abcdef"[v % base];
	while (v /= base);
	if (negative)
		digits[--n] = '-';
	field(o, s, digits + n, sizeof(digits) - n);
}

int vsnprintf(char *restrict buf, size_t size, const char *restrict f, va_list list)
{
	struct out o = {.at = buf, .size = size};
	struct spec s;
	va_list ap;

	va_copy(ap, list);
	for (; *f; f++) {
		const char *text;
		int64_t v;
		char c;

		if (*f != '%') {
			put(&o, f, 1);
			continue;
		}
		f = parse(f + 1, &s, &ap);
		switch (*f) {
		case 's':
			text = va_arg(ap, const char *);
			field(&o, &s, text,
			      s.has_precision ? strnlen(text, s.precision) : strlen(text));
			break;
		case 'c':
			c = (char)va_arg(ap, int);
			field(&o, &s, &c, 1);
			break;
		case 'd':
			v = s.longs ? va_arg(ap, long) : va_arg(ap, int);
			number(&o, &s, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0, 10);
			break;
		case 'u':
		case 'x':
		case 'o':
			number(&o, &s, s.longs ? va_arg(ap, unsigned long) : va_arg(ap, unsigned),
			       false,
			       *f == 'u'   ? 10
			       : *f == 'x' ? 16
					   : 8);
			break;
		case '%':
			put(&o, f, 1);
			break;
		default: /* a message of ours that this does not know: never silently wrong */
			__builtin_trap();
		}
	}
	va_end(ap);
	if (size)
		buf[o.n < size ? o.n : size - 1] = '\0';
	return (int)o.n;
}

int snprintf(char *restrict buf, size_t size, const char *restrict f, ...)
{
	va_list ap;
	int n;

	va_start(ap, f);
	n = vsnprintf(buf, size, f, ap);
	va_end(ap);
	return n;
}
