package login

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
)

// UserTLS is ServerTLS for the doors of users, where a client is asked for a certificate of one of the authorities.
// It need not have one, and the handshake takes any: what it is worth EXTERNAL decides, so that a client with a
// certificate of somebody else still gets in by its password. Nil authorities, and while they return nil: nobody is
// asked. They are called for each connection and return the same pool until it changes.
func UserTLS(config *tls.Config, authorities func() *x509.CertPool) *tls.Config {
	config = ServerTLS(config)
	if config == nil || authorities == nil {
		return config
	}
	a := &asking{silent: config, authorities: authorities}
	config = config.Clone()
	config.GetConfigForClient = a.variant
	return config
}

// asking makes the configuration that asks for certificates. It is made anew when the authorities change and not for
// each connection; keys of session tickets are those of the configuration that it is a variant of, and so outlive it.
type asking struct {
	silent      *tls.Config
	authorities func() *x509.CertPool

	mu     sync.Mutex // guards what follows
	of     *x509.CertPool
	config *tls.Config // asks for certificates of the authorities in of
}

// variant is a tls.Config's GetConfigForClient.
func (a *asking) variant(*tls.ClientHelloInfo) (*tls.Config, error) {
	pool := a.authorities()
	if pool == nil {
		return nil, nil // as it is
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of != pool {
		a.of, a.config = pool, a.silent.Clone()
		a.config.ClientAuth, a.config.ClientCAs = tls.RequestClientCert, pool
	}
	return a.config, nil
}
