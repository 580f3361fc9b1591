/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal's second screen: entered, drawn, and left as it was found, whatever ends the program.
 * No key is read, so that the terminal's own settings stay: Ctrl-C and Ctrl-Z do what they always
 * do. */
#include "base/cleanup.h"
#include "base/file.h"
#include "kubefence/status/status.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Another screen, without a cursor and without wrapping; and back. */
static const char enter_text[] = "\033[?1049h\033[?25l\033[?7l",
		  leave_text[] = "\033[?7h\033[?25h\033[?1049l";
/* From the upper left corner; each line clears what is right of it, the last one what is below. */
static const char home_text[] = "\033[H", line_text[] = "\033[K\r\n", end_text[] = "\033[J";

/* A terminal of 1,000 columns and lines, each character escaped as "\xNN" and coloured. */
#define PICTURE_MAX ((size_t)8 * 1024 * 1024)

static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};

struct kf_screen {
	int signals; /* a signalfd */
	int ended;   /* the signal that ends this process; 0: none */
	sigset_t before;
};

static int write_text(const char *text, struct kf_err *err)
{
	return kf_write_all(STDOUT_FILENO, text, strlen(text), err);
}

int kf_screen_enter(struct kf_screen **ret, struct kf_err *err)
{
	struct kf_screen *screen = calloc(1, sizeof(*screen));
	sigset_t set;

	if (!screen)
		return kf_fail_nomem(err, "terminal");
	(void)sigemptyset(&set);
	for (size_t i = 0; i < KF_ARRAY_SIZE(taken); i++)
		(void)sigaddset(&set, taken[i]);
	/* Blocked, they wait until they are read: none comes between two writes. */
	(void)sigprocmask(SIG_BLOCK, &set, &screen->before);
	screen->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (screen->signals < 0 || write_text(enter_text, err) < 0) {
		(void)kf_fail_sys(err, "prepare the terminal");
		kf_screen_leave(screen);
		return -1;
	}
	*ret = screen;
	return 0;
}

void kf_screen_room(const struct kf_screen *screen, struct kf_status_room *ret)
{
	struct winsize size = {0};

	(void)screen;
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	/* What does not know its size has what terminals had at first. */
	ret->lines = size.ws_row ? size.ws_row : 24;
	ret->columns = size.ws_col ? size.ws_col : 80;
}

int kf_screen_show(struct kf_screen *screen, const struct kf_buf *text, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(PICTURE_MAX);
	const char *at = text->n ? text->p : "";
	struct kf_status_room room;

	kf_screen_room(screen, &room);
	kf_buf_adds(&out, home_text);
	for (unsigned i = 0; *at && i < room.lines; i++) {
		const size_t n = strcspn(at, "\n");

		kf_buf_add(&out, at, n);
		/* No line end on the last line, which would push the first one out. */
		kf_buf_adds(&out, i + 1 < room.lines ? line_text : "\033[K");
		at += n + (at[n] == '\n');
	}
	kf_buf_adds(&out, end_text);
	return out.failed ? kf_fail_nomem(err, "terminal")
			  : kf_write_all(STDOUT_FILENO, out.p, out.n, err);
}

/* Ctrl-Z: whoever comes back later finds the shell's screen first, and then this one again. */
static void stop_process(const struct kf_screen *screen)
{
	sigset_t stop;

	(void)write_text(leave_text, KF_ERR_IGNORED);
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTSTP);
	(void)raise(SIGTSTP);
	/* It is delivered now; the next line is reached by SIGCONT. */
	(void)sigprocmask(SIG_UNBLOCK, &stop, NULL);
	(void)sigprocmask(SIG_BLOCK, &stop, NULL);
	(void)write_text(enter_text, KF_ERR_IGNORED);
	(void)screen;
}

bool kf_screen_wait(struct kf_screen *screen, unsigned ms)
{
	struct pollfd p = {.fd = screen->signals, .events = POLLIN};
	struct signalfd_siginfo info;

	if (poll(&p, 1, (int)ms) <= 0)
		return true;
	while (read(screen->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTSTP)
			stop_process(screen);
		else if (info.ssi_signo != SIGWINCH)
			screen->ended = (int)info.ssi_signo;
	}
	return !screen->ended;
}

void kf_screen_leave(struct kf_screen *screen)
{
	int ended;

	if (!screen)
		return;
	ended = screen->ended;
	(void)write_text(leave_text, KF_ERR_IGNORED);
	if (screen->signals >= 0)
		(void)close(screen->signals);
	(void)sigprocmask(SIG_SETMASK, &screen->before, NULL);
	free(screen);
	if (ended)
		(void)raise(ended);
}
