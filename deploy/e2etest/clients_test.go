package e2etest

import (
	"os"
	"os/exec"
	"testing"
)

// TestClients tells the stories of more clients on a node by itself. They take longer and need more
// packages, so that `make e2e-clients` runs them and `make test` does not.
func TestClients(t *testing.T) {
	if os.Getenv("ROOKERY_E2E_CLIENTS") != "1" {
		t.Skip("needs more mail clients: run `make e2e-clients`")
	}
	s, _ := start(t, 1)
	for _, story := range []struct {
		name     string
		programs []string
		tell     func(*testing.T, *site)
	}{
		{"offlineimap syncs two ways", []string{"offlineimap"}, offlineimapTwoWays},
		{"getmail gets", []string{"getmail"}, getmailGets},
		{"fetchmail fetches", []string{"fetchmail"}, fetchmailFetches},
		{"neomutt sends and reads", []string{"neomutt", "script"}, neomuttRound},
		{"aerc reads and files", []string{"aerc", "tmux"}, aercReads},
		{"Roundcube reads and sends", []string{"php", "/usr/share/roundcube/bin/updatedb.sh"}, roundcubeRound},
		{"Thunderbird reads and files", []string{"thunderbird"}, thunderbirdRound},
	} {
		t.Run(story.name, func(t *testing.T) {
			for _, p := range story.programs {
				if _, err := exec.LookPath(p); err != nil {
					t.Skipf("%s is not installed: as root, deploy/e2etest/install-clients does it", p)
				}
			}
			s.story.Store(story.name)
			story.tell(t, s)
		})
	}
}
