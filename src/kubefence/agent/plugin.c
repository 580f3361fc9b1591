/* SPDX-License-Identifier: Apache-2.0 */
/* GET /readyz on the plugin's socket in its state directory.  The agent has a job ask, which only
 * carries bytes; what they say is looked at in the confined loop. */
#include "base/cleanup.h"
#include "base/file.h"
#include "kubefence/agent/agent.h"
#include "observe/state.h"

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_PATH KF_STATE_DIR "/" KF_STATE_SOCKET
#define REQUEST	    "GET /readyz HTTP/1.0\r\n\r\n"
#define PATIENCE_MS 2000

static int connect_to(const struct kf_host *host)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	KF_CLOSE int at = -1;
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || kf_host_fd(host, SOCKET_PATH, O_PATH, &at, KF_ERR_IGNORED) < 0)
		return -1;
	/* By descriptor: the path is the host's. */
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", at);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	return kf_steal_fd(&fd);
}

static int64_t now_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void kf_agent_plugin_do(const struct kf_host *host, struct kf_plugin_result *ret)
{
	const int64_t end = now_ms() + PATIENCE_MS;
	KF_CLOSE int fd = connect_to(host);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t have = 0;

	*ret = (struct kf_plugin_result){.runs = fd >= 0};
	if (fd < 0 || kf_write_all(fd, REQUEST, strlen(REQUEST), KF_ERR_IGNORED) < 0)
		return;
	while (have < sizeof(ret->text) - 1) {
		int64_t left = end - now_ms();
		ssize_t n = -1;

		if (left > 0 && poll(&p, 1, (int)left) > 0)
			n = read(fd, ret->text + have, sizeof(ret->text) - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
}

/* "HTTP/1.x 200 ..." is yes; else the body's first line tells why not. */
bool kf_agent_plugin_judge(const struct kf_plugin_result *result, char *why, size_t size)
{
	char text[sizeof(result->text)];
	const char *body;
	int status = 0;

	if (result && !result->runs) {
		(void)snprintf(why, size, "nono-nri does not run on this node");
		return false;
	}
	if (result)
		(void)snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, result->text);
	if (!result || sscanf(text, "HTTP/1.%*c %d", &status) != 1) {
		(void)snprintf(why, size, "nono-nri does not answer");
		return false;
	}
	body = strstr(text, "\r\n\r\n");
	body = body ? body + 4 : text;
	(void)snprintf(why, size, "%.*s", (int)strcspn(body, "\r\n"), body);
	return status == 200;
}

bool kf_agent_plugin_said(const struct kf_plugin_result *result, const char *key, char *ret,
			  size_t size)
{
	const char *body = strstr(result->text, "\r\n\r\n"), *line = body ? body + 4 : "";
	const size_t n = strlen(key);

	for (; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, key, n) == 0 && strncmp(line + n, ": ", 2) == 0) {
			line += n + 2;
			(void)snprintf(ret, size, "%.*s", (int)strcspn(line, "\r\n"), line);
			return true;
		}
	return false;
}
