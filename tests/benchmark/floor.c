/* The floor of an attach and a detach: the kernel work of one veth on a bridge, in as few system calls as
 * there can be, in C. run.py compiles it, drives it line by line and compares the datapath with it.
 *
 * stdin:  attach NETNS HOST POD BRIDGE MAC V4/LEN V6/LEN ROUTE/LEN GATEWAY GUARD(0|1)
 *         detach HOST MAC V4/LEN V6/LEN GUARD
 * stdout: "ok NANOSECONDS" or "error WHAT ERRNO"
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { GROUP_PORT = 0x706e01, GROUP_GUARDED = 0x706e02, GROUP_POD = 0x706e03, SKIP_STATS = 1 << 3 };

static char out[32768], in[65536];
static size_t used;
static struct nlmsghdr *message;
static unsigned sequence;

struct address { int family, length; unsigned char bytes[16]; };

static void *put(const void *data, size_t size)
{
	void *at = out + used;
	if (data)
		memcpy(at, data, size);
	else
		memset(at, 0, size);
	memset((char *)at + size, 0, NLMSG_ALIGN(size) - size);
	used += NLMSG_ALIGN(size);
	return at;
}

static void begin(int type, int flags, const void *fixed, size_t size)
{
	message = (struct nlmsghdr *)(out + used);
	struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++sequence};
	put(&head, sizeof head);
	put(fixed, size);
}

static void end(void) { message->nlmsg_len = out + used - (char *)message; }

static void attr(int type, const void *data, size_t size)
{
	struct nlattr head = {.nla_len = sizeof head + size, .nla_type = type};
	put(&head, sizeof head);
	put(data, size);
}

static void attr32(int type, unsigned value) { attr(type, &value, 4); }
static void text(int type, const char *value) { attr(type, value, strlen(value) + 1); }

static struct nlattr *open_nest(int type)
{
	struct nlattr head = {.nla_type = type | NLA_F_NESTED};
	return put(&head, sizeof head);
}

static void close_nest(struct nlattr *nest) { nest->nla_len = out + used - (char *)nest; }

static int make_socket(int family)
{
	int one = 1, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
	return fd;
}

/* Send what is packed; read until the answer of the last message (or DONE, when it is a dump). */
static int transact(int fd)
{
	int failed = 0;
	size_t size = used;
	used = 0;
	if (send(fd, out, size, 0) < 0)
		return errno;
	for (;;) {
		ssize_t got = recv(fd, in, sizeof in, 0);
		if (got < 0)
			return errno;
		struct nlmsghdr *one = (struct nlmsghdr *)in;
		for (; NLMSG_OK(one, got); one = NLMSG_NEXT(one, got)) {
			if (one->nlmsg_type == NLMSG_ERROR) {
				int number = -*(int *)NLMSG_DATA(one);
				if (number && !failed)
					failed = number;
			} else if (one->nlmsg_type != NLMSG_DONE) {
				continue;
			}
			if (one->nlmsg_seq == sequence)
				return failed;
		}
	}
}

static struct address parse(char *word)
{
	struct address found = {.family = strchr(word, ':') ? AF_INET6 : AF_INET};
	char *slash = strchr(word, '/');
	if (slash) {
		*slash = 0;
		found.length = atoi(slash + 1);
	}
	inet_pton(found.family, word, found.bytes);
	return found;
}

static size_t width(struct address a) { return a.family == AF_INET ? 4 : 16; }

static void parse_mac(const char *word, unsigned char *mac)
{
	sscanf(word, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5);
}

static void element(const char *host, const unsigned char *mac, const void *address, size_t size)
{
	unsigned char key[40] = {0};
	strncpy((char *)key, host, 15);
	memcpy(key + 16, mac, 6);
	memcpy(key + 24, address, size);
	struct nlattr *item = open_nest(NFTA_LIST_ELEM), *in_key = open_nest(NFTA_SET_ELEM_KEY);
	attr(NFTA_DATA_VALUE, key, 24 + size);
	close_nest(in_key);
	close_nest(item);
}

static void elements(int type, int flags, const char *host, const unsigned char *mac, struct address a)
{
	struct nfgenmsg head = {.nfgen_family = NFPROTO_BRIDGE};
	begin(NFNL_SUBSYS_NFTABLES << 8 | type, flags, &head, sizeof head);
	text(NFTA_SET_ELEM_LIST_TABLE, "podnet");
	text(NFTA_SET_ELEM_LIST_SET, a.family == AF_INET ? "from4" : "from6");
	struct nlattr *list = open_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
	element(host, mac, a.bytes, width(a));
	if (a.family == AF_INET6) {
		unsigned char none[16] = {0}, local[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2],
						       0xff, 0xfe, mac[3], mac[4], mac[5]};
		element(host, mac, none, 16);
		element(host, mac, local, 16);
	}
	close_nest(list);
	end();
}

static int guard(int fd, int removing, const char *host, const unsigned char *mac, struct address v4, struct address v6)
{
	struct nfgenmsg head = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
	begin(NFNL_MSG_BATCH_BEGIN, 0, &head, sizeof head);
	end();
	elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, host, mac, v4);
	elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, host, mac, v6);
	if (removing) {
		elements(NFT_MSG_DELSETELEM, 0, host, mac, v4);
		elements(NFT_MSG_DELSETELEM, 0, host, mac, v6);
	}
	message->nlmsg_flags |= NLM_F_ACK;
	unsigned last = sequence;
	begin(NFNL_MSG_BATCH_END, 0, &head, sizeof head);
	end();
	sequence = last;
	int failed = transact(fd);
	sequence = last + 1;
	return failed;
}

static void address(int index, struct address a)
{
	struct ifaddrmsg head = {.ifa_family = a.family, .ifa_prefixlen = a.length, .ifa_index = index,
				 .ifa_flags = a.family == AF_INET6 ? IFA_F_NODAD : 0};
	begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	if (a.family == AF_INET) {
		unsigned all;
		memcpy(&all, a.bytes, 4);
		all |= htonl(0xffffffffu >> a.length);
		attr(IFA_LOCAL, a.bytes, 4);
		attr(IFA_ADDRESS, a.bytes, 4);
		attr32(IFA_BROADCAST, all);
	} else {
		attr(IFA_ADDRESS, a.bytes, 16);
	}
	end();
}

static const char *attach(int node, int filter, char **words)
{
	struct address v4 = parse(words[6]), v6 = parse(words[7]), route = parse(words[8]), gateway = parse(words[9]);
	int guarded = atoi(words[10]);
	unsigned char mac[6];
	parse_mac(words[5], mac);
	unsigned host = 1 << 20 | (random() & 0x3fffffff), pod = 1 << 20 | (random() & 0x3fffffff);

	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int netns = open(words[1], O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET))
		return "enter";
	int inside = make_socket(NETLINK_ROUTE);
	if (setns(home, CLONE_NEWNET))
		abort();
	close(home);

	struct ifinfomsg head = {.ifi_index = host, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &head, sizeof head);
	text(IFLA_IFNAME, words[2]);
	attr32(IFLA_MTU, 1500);
	attr32(IFLA_MASTER, if_nametoindex(words[4]));
	attr32(IFLA_GROUP, guarded ? GROUP_GUARDED : GROUP_PORT);
	struct nlattr *info = open_nest(IFLA_LINKINFO);
	text(IFLA_INFO_KIND, "veth");
	struct nlattr *data = open_nest(IFLA_INFO_DATA), *peer = open_nest(VETH_INFO_PEER);
	struct ifinfomsg other = {.ifi_index = pod};
	put(&other, sizeof other);
	text(IFLA_IFNAME, words[3]);
	attr(IFLA_ADDRESS, mac, 6);
	attr32(IFLA_MTU, 1500);
	attr32(IFLA_GROUP, GROUP_POD);
	attr32(IFLA_NET_NS_FD, netns);
	close_nest(peer);
	close_nest(data);
	close_nest(info);
	end();
	if ((errno = transact(node)))
		return "make";
	if (guarded && (errno = guard(filter, 0, words[2], mac, v4, v6)))
		return "guard";

	struct ifinfomsg up = {.ifi_index = pod, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	begin(RTM_NEWLINK, 0, &up, sizeof up);
	end();
	address(pod, v4);
	address(pod, v6);
	struct rtmsg to = {.rtm_family = AF_INET, .rtm_dst_len = route.length, .rtm_table = RT_TABLE_MAIN,
			   .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST};
	begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &to, sizeof to);
	attr32(RTA_OIF, pod);
	attr(RTA_DST, route.bytes, 4);
	attr(RTA_GATEWAY, gateway.bytes, 4);
	end();
	struct ifinfomsg which = {.ifi_index = pod};
	begin(RTM_GETLINK, 0, &which, sizeof which);
	attr32(IFLA_EXT_MASK, SKIP_STATS);
	end();
	struct ifaddrmsg all = {0};
	begin(RTM_GETADDR, NLM_F_DUMP, &all, sizeof all);
	end();
	errno = transact(inside);
	const char *failed = errno ? "configure" : NULL;
	close(inside);
	close(netns);
	return failed;
}

static const char *detach(int node, int filter, char **words)
{
	struct address v4 = parse(words[3]), v6 = parse(words[4]);
	unsigned char mac[6];
	parse_mac(words[2], mac);
	struct ifinfomsg head = {0};
	begin(RTM_DELLINK, NLM_F_ACK, &head, sizeof head);
	text(IFLA_IFNAME, words[1]);
	end();
	if ((errno = transact(node)))
		return "delete";
	if (atoi(words[5]) && (errno = guard(filter, 1, words[1], mac, v4, v6)))
		return "release";
	return NULL;
}

int main(void)
{
	char line[1024], *words[16];
	int node = make_socket(NETLINK_ROUTE), filter = make_socket(NETLINK_NETFILTER);
	srandom(getpid());
	while (fgets(line, sizeof line, stdin)) {
		int count = 0;
		for (char *word = strtok(line, " \n"); word && count < 15; word = strtok(NULL, " \n"))
			words[count++] = word;
		struct timespec from, to;
		clock_gettime(CLOCK_MONOTONIC, &from);
		const char *failed = !strcmp(words[0], "attach") ? attach(node, filter, words) : detach(node, filter, words);
		int number = errno;
		clock_gettime(CLOCK_MONOTONIC, &to);
		used = 0;
		if (failed)
			printf("error %s: %s\n", failed, strerror(number));
		else
			printf("ok %ld\n", (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
