package site

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rookery-mail/rookery/bench/load"
)

// startDovecot writes Dovecot's configuration and starts it. Limits of connections are raised, for the
// load comes from one address; everything that costs time, fsync above all, is as Debian ships it.
func (p *Peers) startDovecot() error {
	u, err := user.Lookup("nobody")
	if err != nil {
		return fmt.Errorf("find a user for the mailboxes: %w", err)
	}
	mail := filepath.Join(p.dir, "mail")
	if err := os.Mkdir(mail, 0o700); err != nil {
		return fmt.Errorf("make the mail directory: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on Debian
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(mail, uid, gid); err != nil {
		return fmt.Errorf("give the mail directory away: %w", err)
	}
	cert, err := writeCertificate(p.dir)
	if err != nil {
		return err
	}
	path := filepath.Join(p.dir, "dovecot.conf")
	text := fmt.Sprintf(dovecotConfig, p.dir, p.network.host(1), portIMAP, portSubmission, u.Username, u.Uid, u.Gid, p.cfg.Format, cert)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write Dovecot's configuration: %w", err)
	}
	return p.start("/usr/sbin/dovecot", "-F", "-c", path)
}

const dovecotConfig = `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
protocols = imap lmtp
listen = %[2]s
ssl = yes
ssl_cert = <%[9]s
ssl_key = <%[9]s
disable_plaintext_auth = no
first_valid_uid = 1
first_valid_gid = 1
mail_location = %[8]s:%[1]s/mail/%%u
mail_max_userip_connections = 20000
namespace inbox {
  inbox = yes
}
passdb {
  driver = static
  args = password=bench-secret
}
userdb {
  driver = static
  args = uid=%[6]s gid=%[7]s home=%[1]s/mail/%%u allow_all_users=yes
}
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = %[3]d
    ssl = yes
  }
}
service imap {
  process_limit = 10240
}
service auth {
  unix_listener auth-client {
    mode = 0666
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    port = %[4]d
  }
}
`

// startPostfix writes Postfix's configuration and starts it. The queue's layout, its syncing and its limits
// of processes are as Debian ships them; deferred mail is tried again after seconds, so that a run has an end.
func (p *Peers) startPostfix(ctx context.Context) error {
	dir := filepath.Join(p.dir, "postfix")
	for _, name := range []string{"", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return fmt.Errorf("make Postfix's directories: %w", err)
		}
	}
	u, err := user.Lookup("postfix")
	if err != nil {
		return fmt.Errorf("find Postfix's user: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on Debian
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(filepath.Join(dir, "data"), uid, gid); err != nil {
		return fmt.Errorf("give Postfix's directory away: %w", err)
	}
	main := fmt.Sprintf(postfixMain, dir, Domain, filepath.Join(p.dir, "run", "lmtp"),
		load.SinkDomain, p.network.host(3), portMX)
	master := fmt.Sprintf(postfixMaster, hostPort(p.network.host(1), portMX), p.submission(), filepath.Join(p.dir, "cert.pem"), filepath.Join(p.dir, "run", "auth-client"))
	for name, text := range map[string]string{"main.cf": main, "master.cf": master} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write Postfix's configuration: %w", err)
		}
	}
	// The first check makes the queue's directories; what it warns of does not matter here.
	_ = exec.CommandContext(ctx, "/usr/sbin/postfix", "-c", dir, "check").Run()
	return p.start("/usr/lib/postfix/sbin/master", "-c", dir, "-d")
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
myhostname = peer.%[2]s
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = %[2]s
virtual_mailbox_maps = static:all
virtual_transport = lmtp:unix:%[3]s
smtpd_tls_security_level = none
smtp_tls_security_level = none
message_size_limit = 52428800
transport_maps = inline:{ { %[4]s=smtp:[%[5]s]:%[6]d }, { .%[4]s=smtp:[%[5]s]:%[6]d } }
queue_run_delay = 3s
minimal_backoff_time = 3s
maximal_backoff_time = 10s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
`

const postfixMaster = `%[1]s inet n - n - - smtpd
%[2]s inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_cert_file=%[3]s
  -o smtpd_tls_key_file=%[3]s
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=%[4]s
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
`

// writeCertificate makes a certificate signed by itself, and its key, in one file.
func writeCertificate(dir string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer." + Domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour), DNSNames: []string{"peer." + Domain}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("write the key: %w", err)
	}
	path := filepath.Join(dir, "cert.pem")
	data := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	return path, os.WriteFile(path, data, 0o600)
}
