// Package netnstest tells how mail leaves Rookery for hosts that others wrote: Postfix, Exim and OpenSMTPD from Debian,
// unchanged, with DNS from unbound, and a sink that answers as no host should. All of it is in network namespaces
// that the tests make for themselves, with addresses of both kinds and port 25, and nothing outside of them: no
// daemon is installed, no port of the machine is used, no packet leaves it.
//
// It has tests only. They run with ROOKERY_NETNS=1 as root on Linux, with the binary that `make build` leaves in bin, or the one
// that ROOKERY_BINARY names; `make netns-test` does all of that and fetches the packages first. Where
// there is no root, or no namespaces, it says so and skips.
package netnstest
