/* SPDX-License-Identifier: Apache-2.0 */
/* Composes the few messages of nftables that close a namespace, and sends them as one
 * transaction. */
#include "egress-node/table.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define CHAIN	    "out"
#define MESSAGE_MAX 8192 /* the whole table is 1 KiB */
#define OUT_LO	    1	 /* the loopback's index in every namespace */

/* The messages so far, and where those that are open begin. */
struct batch {
	struct kf_buf buf;
	size_t message;
	uint32_t seq;
};

static void pad_message(struct batch *b)
{
	static const char zero[NLMSG_ALIGNTO];

	kf_buf_add(&b->buf, zero, NLMSG_ALIGN(b->buf.n) - b->buf.n);
}

static void begin_message(struct batch *b, uint16_t type, uint16_t flags, uint8_t family,
			  uint16_t resource)
{
	const struct nlmsghdr head = {.nlmsg_type = type,
				      .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
				      .nlmsg_seq = ++b->seq};
	const struct nfgenmsg gen = {.nfgen_family = family, .res_id = htons(resource)};

	b->message = b->buf.n;
	kf_buf_add(&b->buf, &head, sizeof(head));
	kf_buf_add(&b->buf, &gen, sizeof(gen));
}

static void end_message(struct batch *b)
{
	uint32_t n = (uint32_t)(b->buf.n - b->message);

	if (!b->buf.failed)
		memcpy(b->buf.p + b->message, &n, sizeof(n));
}

static size_t begin_nest(struct batch *b, uint16_t type)
{
	const struct nlattr attr = {.nla_type = (uint16_t)(type | NLA_F_NESTED)};
	size_t at = b->buf.n;

	kf_buf_add(&b->buf, &attr, sizeof(attr));
	return at;
}

static void end_nest(struct batch *b, size_t at)
{
	uint16_t n = (uint16_t)(b->buf.n - at);

	if (!b->buf.failed)
		memcpy(b->buf.p + at, &n, sizeof(n));
}

static void add_attr(struct batch *b, uint16_t type, const void *data, size_t n)
{
	const struct nlattr attr = {.nla_type = type, .nla_len = (uint16_t)(sizeof(attr) + n)};

	kf_buf_add(&b->buf, &attr, sizeof(attr));
	kf_buf_add(&b->buf, data, n);
	pad_message(b);
}

static void add_text(struct batch *b, uint16_t type, const char *s)
{
	add_attr(b, type, s, strlen(s) + 1);
}

static void add_u32(struct batch *b, uint16_t type, uint32_t v)
{
	v = htonl(v);
	add_attr(b, type, &v, sizeof(v));
}

/* ---- expressions; each value goes through one register ---- */

struct expression {
	size_t element, data;
};

static struct expression begin_expression(struct batch *b, const char *name)
{
	struct expression e = {.element = begin_nest(b, NFTA_LIST_ELEM)};

	add_text(b, NFTA_EXPR_NAME, name);
	e.data = begin_nest(b, NFTA_EXPR_DATA);
	return e;
}

static void end_expression(struct batch *b, struct expression e)
{
	end_nest(b, e.data);
	end_nest(b, e.element);
}

static void load_meta(struct batch *b, enum nft_meta_keys key)
{
	struct expression e = begin_expression(b, "meta");

	add_u32(b, NFTA_META_KEY, key);
	add_u32(b, NFTA_META_DREG, NFT_REG_1);
	end_expression(b, e);
}

static void load_transport(struct batch *b, uint32_t offset, uint32_t n)
{
	struct expression e = begin_expression(b, "payload");

	add_u32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	add_u32(b, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	add_u32(b, NFTA_PAYLOAD_OFFSET, offset);
	add_u32(b, NFTA_PAYLOAD_LEN, n);
	end_expression(b, e);
}

static void add_data(struct batch *b, uint16_t type, const void *value, size_t n)
{
	size_t nest = begin_nest(b, type);

	add_attr(b, NFTA_DATA_VALUE, value, n);
	end_nest(b, nest);
}

static void mask_byte(struct batch *b, uint8_t mask)
{
	struct expression e = begin_expression(b, "bitwise");
	const uint8_t zero = 0;

	add_u32(b, NFTA_BITWISE_SREG, NFT_REG_1);
	add_u32(b, NFTA_BITWISE_DREG, NFT_REG_1);
	add_u32(b, NFTA_BITWISE_LEN, 1);
	add_data(b, NFTA_BITWISE_MASK, &mask, 1);
	add_data(b, NFTA_BITWISE_XOR, &zero, 1);
	end_expression(b, e);
}

static void compare_bytes(struct batch *b, enum nft_cmp_ops op, const void *value, size_t n)
{
	struct expression e = begin_expression(b, "cmp");

	add_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	add_u32(b, NFTA_CMP_OP, op);
	add_data(b, NFTA_CMP_DATA, value, n);
	end_expression(b, e);
}

static void compare_byte(struct batch *b, enum nft_cmp_ops op, uint8_t value)
{
	compare_bytes(b, op, &value, sizeof(value));
}

/* Values of meta are in the machine's own order. */
static void compare_word(struct batch *b, uint32_t value)
{
	compare_bytes(b, NFT_CMP_EQ, &value, sizeof(value));
}

static void count_packet(struct batch *b)
{
	end_expression(b, begin_expression(b, "counter"));
}

static void accept_it(struct batch *b)
{
	struct expression e = begin_expression(b, "immediate");
	size_t data, verdict;

	add_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = begin_nest(b, NFTA_IMMEDIATE_DATA);
	verdict = begin_nest(b, NFTA_DATA_VERDICT);
	add_u32(b, NFTA_VERDICT_CODE, NF_ACCEPT);
	end_nest(b, verdict);
	end_nest(b, data);
	end_expression(b, e);
}

static void reset_it(struct batch *b)
{
	struct expression e = begin_expression(b, "reject");

	add_u32(b, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
	end_expression(b, e);
}

/* ---- rules ---- */

static size_t begin_rule(struct batch *b)
{
	begin_message(b, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE,
		      NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET, 0);
	add_text(b, NFTA_RULE_TABLE, KF_TABLE_NAME);
	add_text(b, NFTA_RULE_CHAIN, CHAIN);
	return begin_nest(b, NFTA_RULE_EXPRESSIONS);
}

static void end_rule(struct batch *b, size_t nest)
{
	end_nest(b, nest);
	end_message(b);
}

static void accept_loopback(struct batch *b)
{
	size_t rule = begin_rule(b);

	load_meta(b, NFT_META_OIF);
	compare_word(b, OUT_LO);
	accept_it(b);
	end_rule(b, rule);
}

static void accept_mark(struct batch *b, uint32_t mark)
{
	size_t rule = begin_rule(b);

	load_meta(b, NFT_META_MARK);
	compare_word(b, mark);
	accept_it(b);
	end_rule(b, rule);
}

static void accept_answers(struct batch *b)
{
	enum { FLAGS = 13, SYN = 0x02, ACK = 0x10 };
	size_t rule = begin_rule(b);

	load_meta(b, NFT_META_L4PROTO);
	compare_byte(b, NFT_CMP_EQ, IPPROTO_TCP);
	load_transport(b, FLAGS, 1);
	mask_byte(b, SYN | ACK);
	compare_byte(b, NFT_CMP_NEQ, SYN);
	accept_it(b);
	end_rule(b, rule);
}

/* Solicitations and advertisements, of routers and neighbours, and listener reports. */
static void accept_neighbours(struct batch *b, uint8_t first, uint8_t last)
{
	size_t rule = begin_rule(b);

	load_meta(b, NFT_META_L4PROTO);
	compare_byte(b, NFT_CMP_EQ, IPPROTO_ICMPV6);
	load_transport(b, 0, 1);
	compare_byte(b, NFT_CMP_GTE, first);
	compare_byte(b, NFT_CMP_LTE, last);
	accept_it(b);
	end_rule(b, rule);
}

static void reset_rest(struct batch *b)
{
	size_t rule = begin_rule(b);

	load_meta(b, NFT_META_L4PROTO);
	compare_byte(b, NFT_CMP_EQ, IPPROTO_TCP);
	count_packet(b);
	reset_it(b);
	end_rule(b, rule);
}

static void count_rest(struct batch *b)
{
	size_t rule = begin_rule(b);

	count_packet(b);
	end_rule(b, rule);
}

static void put_table(struct batch *b, uint16_t type, uint16_t flags)
{
	begin_message(b, (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | type), NLM_F_ACK | flags,
		      NFPROTO_INET, 0);
	add_text(b, NFTA_TABLE_NAME, KF_TABLE_NAME);
	end_message(b);
}

static void put_chain(struct batch *b)
{
	size_t hook;

	begin_message(b, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWCHAIN, NLM_F_ACK | NLM_F_CREATE,
		      NFPROTO_INET, 0);
	add_text(b, NFTA_CHAIN_TABLE, KF_TABLE_NAME);
	add_text(b, NFTA_CHAIN_NAME, CHAIN);
	hook = begin_nest(b, NFTA_CHAIN_HOOK);
	add_u32(b, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
	add_u32(b, NFTA_HOOK_PRIORITY, 0);
	end_nest(b, hook);
	add_u32(b, NFTA_CHAIN_POLICY, NF_DROP);
	add_text(b, NFTA_CHAIN_TYPE, "filter");
	end_message(b);
}

static void compose_batch(struct batch *b, uint32_t mark, bool reset)
{
	begin_message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end_message(b);
	/* Deleting what is not there would fail. */
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	put_table(b, NFT_MSG_DELTABLE, 0);
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	put_chain(b);
	accept_loopback(b);
	accept_mark(b, mark);
	accept_answers(b);
	accept_neighbours(b, 133, 136);
	accept_neighbours(b, 143, 143);
	if (reset)
		reset_rest(b);
	count_rest(b);
	begin_message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	end_message(b);
}

/* The kernel has answered all when sendmsg() comes back. */
static int read_answers(int netlink, uint32_t last, struct kf_err *err)
{
	union {
		struct nlmsghdr head;
		char bytes[MESSAGE_MAX];
	} in;
	bool done = false;
	ssize_t n;

	while ((n = recv(netlink, &in, sizeof(in), MSG_DONTWAIT)) >= 0) {
		const char *at = in.bytes, *end = in.bytes + n;

		while ((size_t)(end - at) >= sizeof(struct nlmsghdr)) {
			const struct nlmsghdr *h = (const void *)at;
			const struct nlmsgerr *answer = (const void *)(h + 1);

			if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > (size_t)(end - at))
				break;
			at += h->nlmsg_len < (size_t)(end - at) ? NLMSG_ALIGN(h->nlmsg_len)
								: h->nlmsg_len;
			if (h->nlmsg_type != NLMSG_ERROR ||
			    h->nlmsg_len < sizeof(*h) + sizeof(*answer))
				continue;
			if (answer->error) {
				errno = -answer->error;
				return kf_fail_sys(err, "nftables: message %u",
						   answer->msg.nlmsg_seq);
			}
			done |= answer->msg.nlmsg_seq == last;
		}
	}
	if (errno != EAGAIN)
		return kf_fail_sys(err, "nftables: answer");
	return done ? 0 : kf_fail(err, EIO, "nftables: the kernel did not answer");
}

static int install_table(int netlink, uint32_t mark, bool reset, struct kf_err *err)
{
	struct batch b = {.buf = KF_BUF_INIT(MESSAGE_MAX)};
	int r;

	compose_batch(&b, mark, reset);
	if (b.buf.failed)
		r = kf_fail_nomem(err, "nftables");
	else if (send(netlink, b.buf.p, b.buf.n, 0) < 0)
		r = kf_fail_sys(err, "nftables");
	else
		r = read_answers(netlink, b.seq - 1, err);
	kf_buf_done(&b.buf);
	return r;
}

int kf_table_install(int netlink, uint32_t mark, struct kf_err *err)
{
	/* Not every kernel can reset; then a forbidden connection waits until it times out. */
	if (install_table(netlink, mark, true, err) == 0)
		return 0;
	return install_table(netlink, mark, false, err);
}
