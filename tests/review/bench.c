/* SPDX-License-Identifier: Apache-2.0 */
/* bench DIR FILES ROUNDS: open, read and close each of DIR/0 ... DIR/FILES-1; prints the
 * nanoseconds of the best round for one file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double run_round(const char *dir, int files)
{
	struct timespec a, b;
	char path[4096], data[4096];

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < files; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%d/%d", dir, i % 100, i);
		fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, data, sizeof(data)) < 0)
			exit(1);
		(void)close(fd);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / files;
}

int main(int argc, char **argv)
{
	double best = 1e18;

	if (argc != 4)
		return 2;
	for (int i = 0; i < atoi(argv[3]); i++) {
		const double ns = run_round(argv[1], atoi(argv[2]));

		best = ns < best ? ns : best;
	}
	return printf("%.0f\n", best) < 0;
}
