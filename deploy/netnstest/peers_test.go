//go:build linux

package netnstest

import "testing"

// names of hosts, and of the domains whose mail they take.
func mx(peer string) string { return "mx." + peer + "." + zoneName }

func domainOf(peer string) string { return peer + "." + zoneName }

func startPostfix(t *testing.T, c certificate) *peer {
	return startPeer(t, "postfix", map[string]string{
		"etc/postfix/mx.pem": c.chain, "etc/postfix/mx.key": c.key,
		"etc/postfix/boxes": "bob@" + domainOf("postfix") + " bob/\n",
		"etc/postfix/main.cf": `compatibility_level = 3.6
maillog_file = /dev/stdout
myhostname = ` + mx("postfix") + `
inet_protocols = all
mydestination =
virtual_mailbox_domains = ` + domainOf("postfix") + `
virtual_mailbox_base = /srv/mail
virtual_mailbox_maps = texthash:/etc/postfix/boxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/mx.key, /etc/postfix/mx.pem
smtpd_relay_restrictions = reject_unauth_destination
smtputf8_enable = no
message_size_limit = 200000
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
`,
	}, "sh", "-c", "chown postfix /var/lib/postfix && chown 65534 /srv/mail && exec postfix start-fg")
}

func startExim(t *testing.T, c certificate) *peer {
	return startPeer(t, "exim", map[string]string{
		"etc/exim4/mx.pem": c.chain, "etc/exim4/private.pem": c.key,
		"etc/exim4/exim4.conf": `primary_hostname = ` + mx("exim") + `
exim_user = Debian-exim
exim_group = Debian-exim
keep_environment =
log_file_path = /srv/mail/exim-%slog
domainlist local_domains = ` + domainOf("exim") + `
tls_advertise_hosts = *
tls_certificate = /etc/exim4/mx.pem
tls_privatekey = /etc/exim4/private.pem
host_lookup =
log_selector = +dkim_verbose
rfc1413_query_timeout = 0s
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  deny message = No such user
       !domains = +local_domains
  require verify = recipient
  accept
acl_data:
  accept
begin routers
box:
  driver = accept
  domains = +local_domains
  local_parts = bob
  transport = box
  cannot_route_message = No such user
begin transports
box:
  driver = appendfile
  directory = /srv/mail/bob
  maildir_format
  create_directory
  envelope_to_add
  user = bob
begin retry
* * F,2h,1m
`,
	}, "sh", "-c", "mkdir -p /var/spool/exim4 /var/log/exim4 && chown -R Debian-exim /var/spool/exim4 /var/log/exim4 && chown Debian-exim /etc/exim4/private.pem && chown bob /srv/mail && exec exim4 -bdf -q1m")
}

func startOpenSMTPD(t *testing.T, c certificate) *peer {
	return startPeer(t, "opensmtpd", map[string]string{
		"etc/opensmtpd.pem": c.chain, "etc/opensmtpd.key": c.key,
		"etc/smtpd.conf": `pki peer cert "/etc/opensmtpd.pem"
pki peer key "/etc/opensmtpd.key"
listen on 0.0.0.0 port 25 tls pki peer hostname ` + mx("opensmtpd") + `
listen on :: port 25 tls pki peer hostname ` + mx("opensmtpd") + `
action "box" maildir "/srv/mail/%{user.username}"
match from any for domain "` + domainOf("opensmtpd") + `" action "box"
`,
	}, "sh", "-c", "mkdir -p /var/spool/smtpd /run && chmod 711 /var/spool/smtpd && exec smtpd -d")
}
