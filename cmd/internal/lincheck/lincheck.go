// Package lincheck holds no code of the product: its tests run mail stores over a cluster in one
// process, with clients on all nodes and nodes that crash, are cut off and come back, and have
// porcupine decide whether what the clients saw of each account is one order of operations, each
// taking effect at one moment between its call and its answer (Herlihy and Wing, "Linearizability").
//
// Reads are made fresh first (cluster/router.Fresh): the promise is one of the store over a replica
// that has caught up, not of a node that is cut off and serves what it has.
package lincheck
