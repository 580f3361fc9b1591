/* SPDX-License-Identifier: Apache-2.0 */
/* steps instructions|calls|faults COMMAND...: how many instructions of user space, system calls or
 * page faults COMMAND takes from its first instruction until it executes another program.  Unlike
 * time they are the same on a busy machine, and unlike valgrind this knows every system call.  A
 * repeated string instruction counts once for each repetition. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* PTRACE_SYSCALL stops in front of a call and behind it. */
static const struct mode {
	const char *name;
	int request;
	int stops;
} modes[] = {
	{"instructions", PTRACE_SINGLESTEP, 1},
	{"calls", PTRACE_SYSCALL, 2},
	{"faults", PTRACE_CONT, 0},
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void wait_for(pid_t pid, int *ret_status)
{
	if (waitpid(pid, ret_status, __WALL) < 0)
		die("waitpid");
	if (!WIFSTOPPED(*ret_status)) {
		fprintf(stderr, "steps: the command ended without executing another\n");
		exit(1);
	}
}

/* Minor faults, the tenth word of /proc/PID/stat. */
static long faults_of(pid_t pid)
{
	char path[64], text[1024], *word;
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		die(path);
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	word = strrchr(text, ')');
	for (int i = 2; word && i < 10; i++)
		word = strchr(word + 1, ' ');
	return word ? strtol(word + 1, NULL, 10) : -1;
}

static pid_t start(char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			die("ptrace");
		(void)raise(SIGSTOP);
		(void)execv(argv[0], argv);
		die(argv[0]);
	}
	wait_for(pid, &status);
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) < 0 ||
	    ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
		die("ptrace");
	wait_for(pid, &status);
	return pid;
}

int main(int argc, char **argv)
{
	const struct mode *mode = NULL;
	long stops = 0, before;
	int status;
	pid_t pid;

	for (size_t i = 0; argc > 2 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].name, argv[1]) == 0)
			mode = &modes[i];
	if (!mode) {
		fprintf(stderr, "usage: steps instructions|calls|faults COMMAND...\n");
		return 2;
	}
	pid = start(argv + 2);
	before = faults_of(pid);
	for (;; stops++) {
		if (ptrace((enum __ptrace_request)mode->request, pid, NULL, NULL) < 0)
			die("ptrace");
		wait_for(pid, &status);
		if (status >> 16 == PTRACE_EVENT_EXEC)
			break;
	}
	printf("%ld\n", mode->stops ? stops / mode->stops : faults_of(pid) - before);
	return 0;
}
