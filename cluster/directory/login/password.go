package login

import (
	"bytes"
	"fmt"
)

// plainStep is the only message of PLAIN: authzid NUL authcid NUL password (RFC 4616, section 2).
func (x *Exchange) plainStep(response []byte) ([]byte, bool, error) {
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 {
		return nil, false, fmt.Errorf("PLAIN of %d parts: %w", len(parts), ErrMalformed)
	}
	return x.check(string(parts[0]), string(parts[1]), string(parts[2]))
}

// loginStep takes the user name of LOGIN and asks for the password. A client may send the name as
// initial response.
func (x *Exchange) loginStep(response []byte) ([]byte, bool, error) {
	if len(response) == 0 {
		return nil, false, fmt.Errorf("LOGIN without a user name: %w", ErrMalformed)
	}
	x.username = string(response)
	x.step = func(password []byte) ([]byte, bool, error) {
		return x.check("", x.username, string(password))
	}
	return []byte("Password:"), false, nil
}

func (x *Exchange) check(authzid, username, password string) ([]byte, bool, error) {
	x.username = username
	id, err := x.authenticator.plain(x.conn.Done, username, password, x.conn.Remote)
	if err != nil {
		return nil, false, err
	}
	self := subject{known: true}
	self.account.Address = id.Address
	if !self.authorised(username, authzid) {
		return nil, false, fmt.Errorf("user %s as %q: %w", id.Address, authzid, ErrAuthorization)
	}
	x.identity = id
	return nil, true, nil
}
