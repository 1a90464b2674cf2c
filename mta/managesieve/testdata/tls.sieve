# tls: nothing is told before it is there, and nothing may be behind STARTTLS.
C: AUTHENTICATE "PLAIN" "AGFkYUBleGFtcGxlLm9yZwB4eXp6eQ=="
C: LISTSCRIPTS
C: STARTTLS
C: LOGOUT
S: "IMPLEMENTATION" "Rookery test"
S: "SASL" ""
S: "SIEVE" "fileinto vacation"
S: "NOTIFY" "mailto"
S: "STARTTLS"
S: "MAXREDIRECTS" "4"
S: "UNAUTHENTICATE"
S: "VERSION" "1.0"
S: OK
S: NO (ENCRYPT-NEEDED) "STARTTLS first"
S: NO "Log in first"
S: BYE "Nothing may follow STARTTLS before the handshake"
