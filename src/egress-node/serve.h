/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's parent: one a node, root. */
#ifndef KF_EGRESS_NODE_SERVE_H
#define KF_EGRESS_NODE_SERVE_H

/* "nono-egress serve": main() of the parent; @argv[0] is "serve".  Returns the exit status: 0 after
 * SIGTERM, 1 after a failure, 2 for a wrong command line. */
int kf_egress_serve(int argc, char **argv);

#endif
