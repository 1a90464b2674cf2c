// Package filtertest tells how mail fares that Rookery shows to the programs that others wrote: rspamd, SpamAssassin's spamd, ClamAV's
// clamd, opendkim and opendmarc from Debian, unchanged but for their addresses, with DNS from a server of the test. All of it is on
// loopback addresses of its own; no daemon is installed, and nobody outside is asked.
//
// It has tests only. They run with ROOKERY_FILTERS naming the folder where install-peers left the packages, as root on Linux, with the
// binary that `make build` leaves in bin, or the one that ROOKERY_BINARY names; `make filter-test` does all of that. Where a filter
// or root is missing it says so and skips.
package filtertest
