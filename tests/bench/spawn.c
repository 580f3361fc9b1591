/* SPDX-License-Identifier: Apache-2.0 */
/* spawn ROUNDS COMMAND... [/ COMMAND...]...: run the commands by turns and print the median wall
 * time of each, in microseconds, from vfork to the end of the child. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS 8

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double once(char **argv)
{
	double start = now();
	int status;
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) < 0 || status) {
		fprintf(stderr, "spawn: %s failed\n", argv[0]);
		exit(1);
	}
	return now() - start;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	char **command[COMMANDS] = {argv + 2};
	int rounds = argc > 2 ? atoi(argv[1]) : 0, n = 1;
	double *times[COMMANDS];

	for (char **a = argv + 2; *a && n < COMMANDS; a++) {
		if (strcmp(*a, "/") == 0) {
			*a = NULL;
			command[n++] = a + 1;
		}
	}
	for (int c = 0; c < n; c++)
		times[c] = calloc((size_t)rounds, sizeof(double));
	for (int r = -20; r < rounds; r++) {
		for (int c = 0; c < n; c++) {
			double t = once(command[c]);

			if (r >= 0)
				times[c][r] = t;
		}
	}
	for (int c = 0; c < n; c++) {
		qsort(times[c], (size_t)rounds, sizeof(double), compare);
		printf("%.1f\n", times[c][rounds / 2]);
	}
	return 0;
}
