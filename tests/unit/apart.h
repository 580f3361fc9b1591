/* SPDX-License-Identifier: Apache-2.0 */
/* apart(): what confines a thread for good, tried in a process of its own.  That process ends by
 * another thread of it, which nothing confines: what is done at the end of a process (sanitizers,
 * counted lines) still works. */
#ifndef KF_TESTS_APART_H
#define KF_TESTS_APART_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int apart_pipe[2];

static void *apart_end(void *ctx)
{
	unsigned char status = 255;

	(void)ctx;
	(void)!read(apart_pipe[0], &status, 1);
	exit(status);
}

/* Run @fn in a child; what it returned there. */
static inline int apart(int (*fn)(void))
{
	pthread_t thread;
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		unsigned char result;

		if (pipe(apart_pipe) < 0 || pthread_create(&thread, NULL, apart_end, NULL) != 0)
			_exit(254);
		result = (unsigned char)fn();
		(void)!write(apart_pipe[1], &result, 1);
		for (;;)
			(void)pause();
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#endif
