package harness

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// The ports that every node uses, on its own address.
const (
	portCluster     = 7700
	portGossip      = 7701
	portMX          = 2525
	portSubmission  = 2587
	portSubmissions = 2465
	portIMAP        = 2143
	portIMAPS       = 2993
	portClaim       = 7799 // held by the harness on address 254 while it runs
)

// addresses are the loopback addresses of one run: 127.30.X.N for node N, 127.31.X.N for its proxy.
type addresses struct {
	net   int
	claim net.Listener
}

// claimAddresses finds an X that no other run uses. Nodes that an earlier run left behind count.
func claimAddresses(nodes int) (*addresses, error) {
	var last error
	for i := range 250 {
		x := 1 + (os.Getpid()+i)%250
		claim, err := net.Listen("tcp", hostPort(fmt.Sprintf("127.30.%d.254", x), portClaim))
		if err != nil {
			last = err
			continue
		}
		a := &addresses{net: x, claim: claim}
		if err := a.free(nodes); err != nil {
			last = err
			a.release()
			continue
		}
		return a, nil
	}
	return nil, fmt.Errorf("find loopback addresses for the nodes: %w", last)
}

// free reports whether no process listens where the nodes would.
func (a *addresses) free(nodes int) error {
	for n := 1; n <= nodes; n++ {
		for _, port := range []int{portCluster, portMX, portIMAP} {
			l, err := net.Listen("tcp", hostPort(a.node(n), port))
			if err != nil {
				return err
			}
			_ = l.Close()
		}
	}
	return nil
}

func (a *addresses) node(n int) string  { return fmt.Sprintf("127.30.%d.%d", a.net, n) }
func (a *addresses) proxy(n int) string { return fmt.Sprintf("127.31.%d.%d", a.net, n) }

// release lets other runs use the addresses. It may be called more than once.
func (a *addresses) release() { _ = a.claim.Close() }

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
