// Package e2etest tells stories with the mail clients that people use: curl, swaks, mbsync, mutt and
// go-imap's client, from Debian and unchanged, against real rookery processes. Each story sends, reads,
// flags, moves or syncs as a user of that client would, and looks at the result with another eye.
//
// It has tests only. They run with ROOKERY_E2E=1 and the binary that `make build` leaves in bin, or the
// one that ROOKERY_BINARY names; `make e2e` does all of that and installs the clients first. `make e2e-clients`
// tells those of offlineimap, getmail, fetchmail, neomutt, aerc, Roundcube and Thunderbird, which take longer.
//
// With ROOKERY_E2E_TRANSCRIPTS=FOLDER all that clients and server say at port 993 is written down there,
// a file for each connection.
package e2etest
