package node

import (
	"crypto/tls"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/mta/managesieve"
	"github.com/rookery-mail/rookery/mta/sieve"
)

// openManageSieve makes the server of scripts; its listeners come after.
func (n *Node) openManageSieve(auth *login.Authenticator, tlsConfig *tls.Config, authorities *userAuthorities) {
	n.sieve = managesieve.New(managesieve.Config{Store: n.scripts, Auth: managesieve.Logins(auth), TLS: tlsConfig, Authorities: authorities.get,
		Version: n.opts.Version, Extensions: sieve.Extensions(), Notify: []string{"mailto"}, Check: check, Logger: n.log})
}

var _ managesieve.Store = (*scripts)(nil)
