// Package rpc is how one node calls another: a request, a response, over connections of
// cluster/transport that are kept for reuse; and raw streams to a named service. Errors travel as
// codes, so that the sentinels of package cluster are found on both ends; the time a caller still
// waits travels along. It does not choose nodes and does not retry: cluster/router does.
//
// A connection carries one call at a time. That costs connections instead of latency: no call waits
// behind a larger one, and there is no window to tune.
package rpc
