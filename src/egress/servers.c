/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a resolv.conf, as a libc does.  Who may be asked is decided in egress-node/trusted.c. */
#include "egress/servers.h"

#include <stddef.h>
#include <string.h>

#define BLANK " \t"

unsigned kf_egress_servers(char *text, const char **ret, unsigned max)
{
	static const char word[] = "nameserver";
	unsigned n = 0;

	for (char *line = text, *next; line && n < max; line = next) {
		size_t blanks;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line += strspn(line, BLANK);
		if (strncmp(line, word, sizeof(word) - 1) != 0)
			continue;
		line += sizeof(word) - 1;
		blanks = strspn(line, BLANK);
		line += blanks;
		/* What follows is a zone or a comment. */
		line[strcspn(line, BLANK "\r%#;")] = '\0';
		if (blanks && *line)
			ret[n++] = line;
	}
	return n;
}
