/* SPDX-License-Identifier: Apache-2.0 */
/* Tells from names and versions what a runtime can do. */
#include "base/cleanup.h"
#include "nri/sized.h"

#include <nri/nri.h>

#include <string.h>

#define EVENTS_BEFORE_0_10 UINT32_C(0x7ff)
#define EVENTS_SINCE_0_10  UINT32_C(0x3fff)

/* NRI release in a runtime's first release of a series, newest first, of runtimes that do not
 * tell it (from NRI 0.12 on they do).  Vendors move it both ways, so this is what to
 * expect; nri_features_settle() has what a connection proved. */
static const struct release {
	bool crio;
	int major, minor;
	int nri_minor; /* of NRI 0.x */
} releases[] = {
	{false, 2, 2, 10}, {false, 2, 0, 8}, {false, 1, 7, 3},
	{true, 1, 35, 11}, {true, 1, 32, 9}, {true, 1, 29, 5},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal number at **p, at most 9999; moves *p behind it. */
static int take_number(const char **p)
{
	int n = 0;

	for (; is_digit(**p); ++*p)
		if (n <= 999)
			n = n * 10 + (**p - '0');
	return n;
}

/* First "N.N" in @s, wherever it is: vendors put things before and behind it. */
static bool parse_version(const char *s, int *major, int *minor)
{
	while (*s) {
		int first;

		if (!is_digit(*s)) {
			s++;
			continue;
		}
		first = take_number(&s);
		if (s[0] == '.' && is_digit(s[1])) {
			s++;
			*major = first;
			*minor = take_number(&s);
			return true;
		}
	}
	return false;
}

static bool at_least(int major, int minor, int want_major, int want_minor)
{
	return major > want_major || (major == want_major && minor >= want_minor);
}

/* What follows from the release of NRI. */
static void derive_features(struct nri_features *f)
{
	f->adjust_args = f->validate = at_least(f->nri_major, f->nri_minor, 0, 10);
	f->seccomp_errno = at_least(f->nri_major, f->nri_minor, 0, 12);
	f->events = f->validate ? EVENTS_SINCE_0_10 : EVENTS_BEFORE_0_10;
}

void nri_features_settle_sized(struct nri_features *features, size_t size, bool refused)
{
	struct nri_features f;

	nri_sized_copy(&f, sizeof(f), features, size);
	f.events_refused = refused;
	if (f.validate == refused) {
		f.nri_major = 0;
		f.nri_minor = refused ? 9 : 10;
		derive_features(&f);
	}
	nri_sized_copy(features, size, &f, sizeof(f));
}

void nri_features_parse_sized(const char *runtime_name, const char *runtime_version,
			      const char *nri_version, struct nri_features *ret, size_t size)
{
	struct nri_features f = {.major = -1, .minor = -1, .nri_major = -1, .nri_minor = -1};

	f.is_containerd = strcmp(runtime_name, "containerd") == 0;
	f.is_crio = strcmp(runtime_name, "cri-o") == 0;
	(void)parse_version(runtime_version, &f.major, &f.minor);
	if (!parse_version(nri_version, &f.nri_major, &f.nri_minor) &&
	    (f.is_containerd || f.is_crio)) {
		for (size_t i = 0; i < KF_ARRAY_SIZE(releases); i++) {
			if (releases[i].crio == f.is_crio &&
			    at_least(f.major, f.minor, releases[i].major, releases[i].minor)) {
				f.nri_major = 0;
				f.nri_minor = releases[i].nri_minor;
				break;
			}
		}
	}
	derive_features(&f);
	f.start_can_fail = f.is_containerd;
	nri_sized_copy(ret, size, &f, sizeof(f));
}
