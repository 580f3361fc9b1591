/* SPDX-License-Identifier: Apache-2.0 */
/* src/denial: what the kernel's audit log says becomes denials, none twice and none uncounted. */
#include "base/cleanup.h"
#include "base/file.h"
#include "denial/feed.h"
#include "denial/fold.h"
#include "kf_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_MAX (64 * 1024)

static uint64_t draw_number(uint64_t *x)
{
	uint64_t z = *x += 0x9E3779B97F4A7C15;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
	z = (z ^ z >> 27) * 0x94D049BB133111EB;
	return z ^ z >> 31;
}

/* ---- records ---- */

static struct kf_audit_record parsed(const char *text)
{
	struct kf_audit_record r;

	assert_true(kf_audit_parse(1, text, &r));
	return r;
}

static void fields_are_what_the_kernel_wrote(void **state)
{
	static const struct {
		const char *fields, *value;
	} cases[] = {
		{"path=\"/etc/x\" dev=\"vda\"", "/etc/x"},
		{"xpath=\"no\" path=\"/a\"", "/a"},
		{"comm=\"path=/no\" path=\"/a\"", "/a"},
		{"comm=\" path=\\\" path=\"/a\"", "/a"},
		{"path=2F746D702F612062", "/tmp/a b"}, /* "/tmp/a b" */
		{"path=2F61002F62", "/a /b"},	       /* a NUL in it */
		{"path=2F6", "2F6"},		       /* no pairs: not hexadecimal */
		{"path=", ""},
		{"path=\"", ""},
		{"path=\"/unterminated", "/unterminated"},
	};
	char text[256], value[64];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_audit_record r;

		(void)snprintf(text, sizeof(text), "audit(17.125:9): %s", cases[i].fields);
		r = parsed(text);
		assert_int_equal(r.ms, 17125);
		assert_int_equal(r.serial, 9);
		assert_true(kf_audit_string(&r, "path", value, sizeof(value)));
		assert_string_equal(value, cases[i].value);
	}
	(void)snprintf(text, sizeof(text), "audit(1.1:1): path=\"/long/name\"");
	struct kf_audit_record r = parsed(text);

	assert_true(kf_audit_string(&r, "path", value, 6));
	assert_string_equal(value, "/long");
	assert_false(kf_audit_string(&r, "pat", value, sizeof(value)));
	assert_string_equal(value, "");
}

static void what_is_no_record_is_none(void **state)
{
	static const char *const bad[] = {"",
					  "audit",
					  "audit(",
					  "audit(1:1): x",
					  "audit(1.:1): x",
					  "audit(1.1): x",
					  "audit(1.1:): x",
					  "audit(1.1:1) x",
					  "x audit(1.1:1): y"};
	struct kf_audit_record r;

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++)
		assert_false(kf_audit_parse(1, bad[i], &r));
}

static void missing_numbers_are_counted_once(void **state)
{
	/* Each number once, those near each other in any order, some left out. */
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct kf_serials *s = calloc(1, sizeof(*s));
		uint64_t x = seed, left_out = 0, lost = 0, order[16];
		const uint64_t first = seed * 1000003 % 100000;

		assert_non_null(s);
		lost += kf_serials_note(s, first);
		for (uint64_t block = 0; block < 2000; block++) {
			for (unsigned i = 0; i < 16; i++)
				order[i] = first + 1 + block * 16 + i;
			for (unsigned i = 15; i; i--) {
				const unsigned k = (unsigned)(draw_number(&x) % (i + 1));
				const uint64_t t = order[i];

				order[i] = order[k];
				order[k] = t;
			}
			for (unsigned i = 0; i < 16; i++) {
				if (draw_number(&x) % 10 == 0)
					left_out++;
				else
					lost += kf_serials_note(s, order[i]);
			}
		}
		/* Far ahead: all that are missing are known to be. */
		lost += kf_serials_note(s, first + 1000000);
		assert_int_equal(lost, left_out + 1000000 - 1 - 2000 * 16 - KF_SERIALS_WINDOW + 1);
		free(s);
	}
	(void)state;
}

/* ---- whose a process is ---- */

/* What the guard noted: a record of each of two containers, and one process that entered the first.
 */
static struct kf_who_notes make_notes(char *dir)
{
	static const char *const records[] = {"id aaaa\nuid 1\npod first\npid 10\n",
					      "id bb-bb\nuid 2\npod second\npid 20\n"};
	struct kf_who_notes notes;
	struct kf_err err;
	char path[64];

	assert_non_null(mkdtemp(dir));
	for (unsigned i = 0; i < KF_ARRAY_SIZE(records); i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/record-%u", dir, i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0 && kf_write_all(fd, records[i], strlen(records[i]), &err) == 0);
		(void)close(fd);
	}
	notes.records = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/.started", dir);
	assert_int_equal(kf_started_write(path,
					  &(const struct kf_started){.pid = 30,
								     .id = "aaaa",
								     .namespace_ = "",
								     .pod = "first",
								     .uid = "1",
								     .container = "",
								     .profile = ""},
					  &err),
			 0);
	notes.started = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(notes.records >= 0 && notes.started >= 0);
	return notes;
}

static void remove_notes(const char *dir, const struct kf_who_notes *notes)
{
	(void)unlinkat(notes->records, "record-0", 0);
	(void)unlinkat(notes->records, "record-1", 0);
	(void)unlinkat(notes->records, ".started", 0);
	(void)close(notes->records);
	(void)close(notes->started);
	(void)rmdir(dir);
}

static void what_lives_under_a_number_counts_more_than_who_had_it(void **state)
{
	static const struct {
		const char *cgroups;
		pid_t pid;
		const char *pod; /* NULL: nobody's */
	} rows[] = {
		{NULL, 10, "first"}, /* it is gone: what was noted */
		{NULL, 30, "first"},
		{NULL, 40, NULL},
		/* As containerd, CRI-O and systemd call cgroups, and cgroups within. */
		{"9:name=systemd:/8:pids:/kubepods/burstable/pod1/aaaa/", 40, "first"},
		{"0::/kubepods.slice/pod1.slice/cri-containerd-aaaa.scope/", 40, "first"},
		{"0::/kubepods/pod1/crio-aaaa/init.scope/", 40, "first"},
		{"0::/kubepods/pod1/bb-bb/x/y/", 40, "second"},
		{"0::/../../crio-bb-bb.scope/", 40, "second"},
		/* Its number was that of a process that entered another container. */
		{"0::/kubepods/pod2/bb-bb/", 30, "second"},
		{"0::/kubepods/pod2/bb-bb/", 10, "second"},
		/* No container of ours; names that have an ID in them, and do not end with it. */
		{"0::/system.slice/sshd.service/", 30, NULL},
		{"0::/kubepods/pod3/cccc/", 10, NULL},
		{"0::/aaaa-x/xaaaa/aaaa.scope.d/-/.scope/", 40, NULL},
		{"0::/", 30, NULL},
	};
	char dir[] = "/tmp/kf-unit-XXXXXX";
	const struct kf_who_notes notes = make_notes(dir);
	const struct kf_who_notes quick = {.records = -1, .started = notes.started};
	struct kf_who_table table = {.n = 0};
	struct kf_who *known;

	(void)state;
	for (unsigned i = 0; i < KF_ARRAY_SIZE(rows); i++) {
		struct kf_who *who = kf_who_find(&table, &notes, rows[i].pid, rows[i].cgroups);

		if (!who != !rows[i].pod || (who && strcmp(who->pod, rows[i].pod) != 0))
			fail_msg("row %u: %s", i, who ? who->pod : "nobody");
		kf_who_drop(&table, who);
		/* The same without the records, when it is in the table. */
		who = NULL;
		known = kf_who_find(&table, &notes, 20, NULL);
		assert_string_equal(known->pod, "second");
		if (rows[i].pod && strcmp(rows[i].pod, "second") == 0) {
			who = kf_who_find(&table, &quick, rows[i].pid, rows[i].cgroups);
			assert_ptr_equal(who, known);
		}
		kf_who_drop(&table, who);
		kf_who_drop(&table, known);
	}
	assert_int_equal(table.n, 0);
	remove_notes(dir, &notes);
}

/* ---- the feed, played ---- */

struct played {
	struct kf_who_table owners;
	struct kf_feed *feed;
	/* Processes that the guard has noted: those from @noted on have not been yet. */
	pid_t known[64];
	size_t nknown;
	unsigned looks; /* thorough ones */
	struct kf_denial got[256];
	char who[256][65];
	size_t ngot;
	uint64_t now, unseen; /* denials, all of them of */
	char unseen_of[65];   /* this container */
};

static struct kf_who *find_known(void *ctx, pid_t pid, bool thorough)
{
	struct played *p = ctx;
	char id[32];
	const struct kf_started s = {.pid = pid,
				     .id = id,
				     .namespace_ = "n",
				     .pod = "p",
				     .uid = "u",
				     .container = "c",
				     .profile = "default"};

	p->looks += thorough;
	(void)snprintf(id, sizeof(id), "container-of-%d", pid);
	for (size_t i = 0; i < p->nknown; i++)
		if (p->known[i] == pid)
			return kf_who_get(&p->owners, &s);
	return NULL;
}

static void take_denial(void *ctx, const struct kf_denial *d, uint64_t now)
{
	struct played *p = ctx;

	(void)now;
	assert_true(p->ngot < KF_ARRAY_SIZE(p->got));
	p->got[p->ngot] = *d;
	(void)snprintf(p->who[p->ngot++], sizeof(p->who[0]), "%s", d->who ? d->who->id : "");
}

static void take_unseen(void *ctx, const struct kf_denial *d, uint64_t now)
{
	struct played *p = ctx;

	(void)now;
	assert_true(d->untold && d->count);
	p->unseen += d->count;
	(void)snprintf(p->unseen_of, sizeof(p->unseen_of), "%s", d->who ? d->who->id : "");
}

static struct played *begin_play(void)
{
	static const struct kf_feed_ops ops = {
		.find = find_known, .denied = take_denial, .unseen = take_unseen};
	struct played *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->feed = kf_feed_new(&ops, p, &p->owners);
	assert_non_null(p->feed);
	return p;
}

static void end_play(struct played *p)
{
	kf_feed_free(p->feed);
	assert_int_equal(p->owners.n, 0); /* no reference is left */
	free(p);
}

static void say(struct played *p, unsigned type, unsigned serial, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void say(struct played *p, unsigned type, unsigned serial, const char *fmt, ...)
{
	char fields[1024], text[1200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(fields, sizeof(fields), fmt, ap);
	va_end(ap);
	(void)snprintf(text, sizeof(text), "audit(1000.5:%u): %s", serial, fields);
	kf_feed_take(p->feed, type, text, p->now);
}

#define ACCESS KF_AUDIT_LANDLOCK_ACCESS
#define DOMAIN KF_AUDIT_LANDLOCK_DOMAIN
#define MADE                                                      \
	"domain=%x status=allocated mode=enforcing pid=%d uid=0 " \
	"exe=2F6D656D66643A6E6F6E6F202864656C6574656429 comm=\"3\""
#define PROOF "domain=%x blockers=fs.remove_file,fs.make_reg path=\"/proc/7\" dev=\"proc\" ino=1"
#define ENDED "domain=%x status=deallocated denials=%u"

static void a_denial_has_its_process_and_its_container(void **state)
{
	struct played *p = begin_play();

	(void)state;
	p->known[p->nknown++] = 70;
	say(p, ACCESS, 1, PROOF, 0xd);
	say(p, DOMAIN, 1, MADE, 0xd, 70);
	say(p, KF_AUDIT_SYSCALL, 1, "pid=70 comm=\"3\" exe=\"/x\"");
	say(p, KF_AUDIT_END, 1, " ");
	say(p, ACCESS, 2, "domain=d blockers=fs.read_file path=\"/etc/shadow\" dev=\"vda\" ino=9");
	assert_int_equal(p->ngot, 0);
	say(p, KF_AUDIT_SYSCALL, 2, "pid=71 comm=\"cat\" exe=\"/bin/cat\"");
	say(p, KF_AUDIT_END, 2, " ");
	assert_int_equal(p->ngot, 1);
	assert_string_equal(p->got[0].what, "read");
	assert_string_equal(p->got[0].path, "/etc/shadow");
	assert_string_equal(p->got[0].process, "cat");
	assert_int_equal(p->got[0].pid, 71);
	assert_string_equal(p->who[0], "container-of-70");
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_PROOFS), 1);
	say(p, DOMAIN, 3, ENDED, 0xd, 2);
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_UNSEEN), 0);
	end_play(p);
}

static void who_started_it_may_be_noted_later_and_after_its_end(void **state)
{
	struct played *p = begin_play();

	(void)state;
	say(p, ACCESS, 1, PROOF, 0xd);
	say(p, DOMAIN, 1, MADE, 0xd, 70);
	say(p, ACCESS, 2, "domain=d blockers=fs.write_file path=\"/etc/x\"");
	say(p, KF_AUDIT_END, 2, " ");
	say(p, DOMAIN, 3, ENDED, 0xd, 5);
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_UNSEEN), 3);
	p->now = 100;
	kf_feed_tick(p->feed, p->now);
	assert_int_equal(p->ngot, 0);
	p->known[p->nknown++] = 70;
	p->now = 120;
	kf_feed_tick(p->feed, p->now);
	assert_int_equal(p->ngot, 1);
	assert_string_equal(p->who[0], "container-of-70");
	/* The next one of that number is another sandbox. */
	p->now = 5000;
	kf_feed_tick(p->feed, p->now);
	assert_int_equal(kf_feed_domains(p->feed), 0);
	assert_int_equal(p->unseen, 3);
	assert_string_equal(p->unseen_of, "container-of-70");
	assert_false(kf_feed_waits(p->feed));
	end_play(p);
}

static void what_nobody_noted_is_told_all_the_same(void **state)
{
	struct played *p = begin_play();

	(void)state;
	say(p, ACCESS, 1, PROOF, 0xd);
	say(p, DOMAIN, 1, MADE, 0xd, 70);
	say(p, ACCESS, 2, "domain=d blockers=fs.write_file path=\"/etc/x\"");
	p->now = KF_FEED_WHO_MS - 1;
	kf_feed_tick(p->feed, p->now);
	assert_int_equal(p->ngot, 0);
	p->now++;
	kf_feed_tick(p->feed, p->now);
	assert_int_equal(p->ngot, 1);
	assert_null(p->got[0].who);
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_UNATTRIBUTED), 1);
	/* Sandboxes of others are counted, and not told. */
	say(p, ACCESS, 3, "domain=e blockers=fs.write_file path=\"/etc/x\"");
	say(p, DOMAIN, 3, "domain=e status=allocated pid=9 exe=\"/usr/bin/other\" comm=\"other\"");
	say(p, KF_AUDIT_END, 3, " ");
	assert_int_equal(p->ngot, 1);
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_FOREIGN), 1);
	end_play(p);
}

/* The kernel says once whose a sandbox is, and that may be lost. */
static void a_sandbox_nobody_told_of_is_known_by_its_processes(void **state)
{
	struct played *p = begin_play();

	(void)state;
	p->known[p->nknown++] = 71;
	say(p, ACCESS, 1, "domain=d blockers=fs.read_file path=\"/etc/shadow\"");
	say(p, KF_AUDIT_SYSCALL, 1, "pid=71 comm=\"cat\"");
	say(p, KF_AUDIT_END, 1, " ");
	assert_int_equal(p->ngot, 1);
	assert_string_equal(p->who[0], "container-of-71");
	/* From then on it is known, whichever process it is. */
	say(p, ACCESS, 2, "domain=d blockers=fs.read_file path=\"/etc/shadow\"");
	say(p, KF_AUDIT_SYSCALL, 2, "pid=99 comm=\"cat\"");
	say(p, KF_AUDIT_END, 2, " ");
	assert_int_equal(p->ngot, 2);
	assert_string_equal(p->who[1], "container-of-71");
	assert_int_equal(p->looks, 1);
	/* What the kernel counted in it besides may be older than this reader. */
	say(p, DOMAIN, 3, ENDED, 0xd, 7);
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_UNSEEN), 0);
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_UNKNOWN), 5);
	end_play(p);
}

static void sandboxes_that_nobody_knows_cost_little_and_are_counted(void **state)
{
	struct played *p = begin_play();

	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		say(p, ACCESS, i, "domain=d blockers=fs.read_file path=\"/etc/shadow\"");
		say(p, KF_AUDIT_SYSCALL, i, "pid=%u comm=\"cat\"", 100 + i);
		say(p, KF_AUDIT_END, i, " ");
	}
	assert_int_equal(p->looks, 3);
	say(p, DOMAIN, 21, ENDED, 0xe, 30);
	assert_int_equal(kf_feed_counter(p->feed, KF_FEED_UNKNOWN), 30);
	assert_int_equal(kf_feed_domains(p->feed), 1);
	end_play(p);
}

static struct kf_who *find_the_one(void *ctx, const char *id)
{
	assert_string_equal(id, "container-of-70");
	return find_known(ctx, 70, false);
}

static void sandboxes_outlive_the_reader(void **state)
{
	struct played *p = begin_play(), *q;
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(OUT_MAX);

	(void)state;
	p->known[p->nknown++] = 70;
	say(p, ACCESS, 1, PROOF, 0xd);
	say(p, DOMAIN, 1, MADE, 0xd, 70);
	kf_feed_save(p->feed, &text);
	assert_string_equal(text.p, "d 70 container-of-70\n");
	end_play(p);
	q = begin_play();
	q->known[q->nknown++] = 70;
	kf_feed_load(q->feed, "\nx\nd\n0 1 x\n", find_the_one);
	kf_feed_load(q->feed, text.p, find_the_one);
	say(q, ACCESS, 9, "domain=d blockers=net.connect_tcp daddr=10.0.0.1 dest=443");
	say(q, KF_AUDIT_END, 9, " ");
	assert_int_equal(q->ngot, 1);
	assert_int_equal(q->got[0].port, 443);
	assert_string_equal(q->who[0], "container-of-70");
	/* What was missed before it was read is not held against anybody. */
	say(q, DOMAIN, 10, ENDED, 0xd, 1000);
	assert_int_equal(kf_feed_counter(q->feed, KF_FEED_UNSEEN), 0);
	end_play(q);
}

static void any_bytes_are_taken(void **state)
{
	static const char *const parts[] = {"domain=d ",
					    "domain=",
					    "blockers=fs.read_file,",
					    "blockers=",
					    "path=\"/a\" ",
					    "path=2F ",
					    "status=allocated ",
					    "status=deallocated ",
					    "denials=99999999999999999999 ",
					    "pid=70 ",
					    "exe=\"nono\" ",
					    "dest=70000 ",
					    "\"",
					    "=",
					    "syscall=165 ",
					    "code=0x50000 ",
					    "\xff\xfe",
					    " "};
	static const unsigned types[] = {
		ACCESS, DOMAIN, KF_AUDIT_SYSCALL, KF_AUDIT_SECCOMP, KF_AUDIT_END, 1, 65535};
	uint64_t x = 42;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct played *p = begin_play();

		p->known[p->nknown++] = 70;
		for (unsigned i = 0; i < 200; i++) {
			char text[1024] = "";
			size_t n = 0;

			for (unsigned k = 0; k < draw_number(&x) % 12; k++)
				n += (size_t)snprintf(
					text + n, sizeof(text) - n, "%s",
					parts[draw_number(&x) % KF_ARRAY_SIZE(parts)]);
			p->now += draw_number(&x) % 50;
			say(p, types[draw_number(&x) % KF_ARRAY_SIZE(types)],
			    (unsigned)(draw_number(&x) % 100), "%s", text);
			if (i % 8 == 0)
				kf_feed_tick(p->feed, p->now);
		}
		kf_feed_flush(p->feed, p->now);
		assert_int_equal(p->ngot, kf_feed_counter(p->feed, KF_FEED_DENIALS));
		assert_int_equal(p->unseen, kf_feed_counter(p->feed, KF_FEED_UNSEEN));
		end_play(p);
	}
}

/* ---- folding ---- */

struct told {
	uint64_t lines, counted;
};

static void count_line(void *ctx, const struct kf_denial *d)
{
	struct told *t = ctx;

	assert_true(d->count > 0);
	t->lines++;
	t->counted += d->count;
}

static void every_denial_is_in_one_line(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct kf_who_table owners = {0};
		struct told told = {0};
		struct kf_fold *f = calloc(1, sizeof(*f));
		uint64_t x = seed, now = 1000, n = 0;
		const unsigned paths = 1 + (unsigned)(draw_number(&x) % 5000);

		assert_non_null(f);
		*f = (struct kf_fold){
			.options = {.window = 1 + (unsigned)(draw_number(&x) % 5000),
				    .each = {1 + (unsigned)(draw_number(&x) % 300), 5, 1000},
				    .all = {1 + (unsigned)(draw_number(&x) % 500), 20, 1000}},
			.owners = &owners,
			.line = count_line,
			.ctx = &told};
		for (unsigned i = 0; i < 20000; i++) {
			struct kf_denial d = {.kind = KF_DENIAL_FILE, .call = -1, .count = 1};
			char id[16];

			(void)snprintf(id, sizeof(id), "c%u", (unsigned)(draw_number(&x) % 4));
			d.who = kf_who_get(&owners, &(struct kf_started){.id = id,
									 .namespace_ = "",
									 .pod = "",
									 .uid = "",
									 .container = "",
									 .profile = ""});
			(void)snprintf(d.path, sizeof(d.path), "/%u",
				       (unsigned)(draw_number(&x) % paths));
			d.untold = draw_number(&x) % 100 == 0;
			d.count = d.untold ? 1 + draw_number(&x) % 9 : 1;
			kf_fold_add(f, &d, now);
			kf_who_drop(&owners, d.who);
			n += d.count;
			now += draw_number(&x) % 3;
			if (i % 64 == 0)
				kf_fold_tick(f, now);
			assert_true(f->n <= KF_FOLD_MAX);
		}
		kf_fold_done(f, now);
		assert_int_equal(told.counted + f->untold, n);
		assert_int_equal(told.lines, f->lines);
		assert_int_equal(owners.n, 0);
		free(f);
	}
}

static void the_same_is_told_once_and_then_as_a_number(void **state)
{
	struct kf_who_table owners = {0};
	struct told told = {0};
	struct kf_fold *f = calloc(1, sizeof(*f));
	struct kf_denial d = {.kind = KF_DENIAL_FILE, .call = -1, .count = 1, .path = "/a"};

	(void)state;
	assert_non_null(f);
	*f = (struct kf_fold){.options = {.window = 1000, .each = {9, 1, 1}, .all = {9, 1, 1}},
			      .owners = &owners,
			      .line = count_line,
			      .ctx = &told};
	for (unsigned i = 0; i < 100; i++)
		kf_fold_add(f, &d, 10 + i);
	assert_int_equal(told.lines, 1);
	kf_fold_tick(f, 1010);
	assert_int_equal(told.lines, 2);
	assert_int_equal(told.counted, 100);
	/* A window without it: it is new again. */
	kf_fold_tick(f, 2010);
	assert_int_equal(f->n, 0);
	kf_fold_add(f, &d, 2011);
	assert_int_equal(told.lines, 3);
	kf_fold_done(f, 2012);
	free(f);
}

static void rates_are_kept(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 100; seed++) {
		uint64_t x = seed, now = 0, taken = 0;
		const struct kf_bucket_limit limit = {.burst = 1 + (unsigned)(draw_number(&x) % 20),
						      .rate = 1 + (unsigned)(draw_number(&x) % 10),
						      .period = 1 +
								(unsigned)(draw_number(&x) % 1000)};
		struct kf_bucket b = {0};

		for (unsigned i = 0; i < 10000; i++) {
			now += draw_number(&x) % 5;
			taken += kf_bucket_take(&b, &limit, now);
			assert_true(taken <= limit.burst + now * limit.rate / limit.period + 1);
		}
		/* After a long while there is a whole burst again. */
		now += (uint64_t)limit.burst * limit.period + 1;
		for (unsigned i = 0; i < limit.burst; i++)
			assert_true(kf_bucket_take(&b, &limit, now));
		assert_false(kf_bucket_take(&b, &limit, now));
	}
}

/* ---- telling ---- */

static void a_rule_is_what_a_profile_needs(void **state)
{
	static const struct {
		const char *fields, *rule;
	} cases[] = {
		{"blockers=fs.read_file path=\"/a\"",
		 "{\"filesystem\":{\"grant\":[{\"path\":\"/a\",\"access\":\"r\"}]}}"},
		{"blockers=fs.execute,fs.read_file path=\"/a\"",
		 "{\"filesystem\":{\"grant\":[{\"path\":\"/a\",\"access\":\"rx\"}]}}"},
		{"blockers=fs.make_reg path=\"/a\"",
		 "{\"filesystem\":{\"grant\":[{\"path\":\"/a\",\"access\":\"w\"}]}}"},
		{"blockers=fs.write_file,fs.read_file path=\"/a\"",
		 "{\"filesystem\":{\"grant\":[{\"path\":\"/a\",\"access\":\"rw\"}]}}"},
		{"blockers=net.connect_tcp daddr=1.2.3.4 dest=443",
		 "{\"network\":{\"connect_port\":[443]}}"},
		{"blockers=net.bind_tcp src=80", "{\"network\":{\"listen_port\":[80]}}"},
		{"blockers=scope.signal opid=1 ocomm=\"x\"",
		 "{\"security\":{\"signal_mode\":\"allow_all\"}}"},
		{"blockers=fs.make_char path=\"/a\"", NULL},
		{"blockers=ptrace opid=1 ocomm=\"x\"", NULL},
		{"blockers=fs.change_topology name=\"x\"", NULL},
		{"blockers=fs.something_new path=\"/a\"", NULL},
		{"blockers=fs.read_file", NULL},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(OUT_MAX);
		struct kf_audit_record r;
		struct kf_denial d;
		char text[256];
		uint64_t domain;

		(void)snprintf(text, sizeof(text), "audit(1.1:1): domain=f %s", cases[i].fields);
		r = parsed(text);
		assert_true(kf_denial_of_access(&r, &d, &domain));
		assert_int_equal(domain, 15);
		assert_int_equal(kf_denial_rule(&d, NULL, &out), cases[i].rule != NULL);
		if (cases[i].rule)
			assert_string_equal(out.p, cases[i].rule);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_what_the_kernel_wrote),
		cmocka_unit_test(what_is_no_record_is_none),
		cmocka_unit_test(missing_numbers_are_counted_once),
		cmocka_unit_test(a_denial_has_its_process_and_its_container),
		cmocka_unit_test(who_started_it_may_be_noted_later_and_after_its_end),
		cmocka_unit_test(what_nobody_noted_is_told_all_the_same),
		cmocka_unit_test(what_lives_under_a_number_counts_more_than_who_had_it),
		cmocka_unit_test(a_sandbox_nobody_told_of_is_known_by_its_processes),
		cmocka_unit_test(sandboxes_that_nobody_knows_cost_little_and_are_counted),
		cmocka_unit_test(sandboxes_outlive_the_reader),
		cmocka_unit_test(any_bytes_are_taken),
		cmocka_unit_test(every_denial_is_in_one_line),
		cmocka_unit_test(the_same_is_told_once_and_then_as_a_number),
		cmocka_unit_test(rates_are_kept),
		cmocka_unit_test(a_rule_is_what_a_profile_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
