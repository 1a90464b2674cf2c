package main

import "sync"

// job is one message that waits to be sent.
type job struct {
	number int // in the corpus
	to     account
}

// queue holds the messages that are not taken yet, in order.
type queue struct {
	mu   sync.Mutex // guards jobs
	jobs []job
}

// newQueue spreads messages over the accounts.
func newQueue(messages int, accounts []account) *queue {
	q := &queue{}
	for n := range messages {
		q.jobs = append(q.jobs, job{n, accounts[n%len(accounts)]})
	}
	return q
}

// take gives the next message, or the next one for an account of a partition.
func (q *queue) take(partition string) (job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, j := range q.jobs {
		if partition == "" || j.to.partition == partition {
			q.jobs = append(q.jobs[:i], q.jobs[i+1:]...)
			return j, true
		}
	}
	return job{}, false
}
