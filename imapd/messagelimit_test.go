package imapd_test

import (
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/imapd"
)

// TestMessageLimit: what limits which messages is told after the login, and nothing where nothing is limited.
func TestMessageLimit(t *testing.T) {
	for name, c := range map[string]struct {
		limits imapd.Limits
		want   []string
	}{
		"default":        {imapd.Limits{}, []string{"MESSAGELIMIT=10000000"}},
		"none":           {imapd.Limits{Messages: -1}, nil},
		"of messages":    {imapd.Limits{Messages: 1000}, []string{"MESSAGELIMIT=1000"}},
		"of what is put": {imapd.Limits{Messages: 1000, Saves: 2000}, []string{"SAVELIMIT=2000"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(config *imapd.Config) { config.Limits = c.limits })
			client := h.dialTLS()
			if got := client.until("* OK"); limitsIn(got) != nil {
				t.Errorf("before the login: %s", got)
			}
			if got := client.do(login1); strings.Join(limitsIn(got), " ") != strings.Join(c.want, " ") {
				t.Errorf("after the login: %s, want %v in it", got, c.want)
			}
		})
	}
}

// limitsIn are the limits of messages that a line announces.
func limitsIn(line string) (out []string) {
	for _, word := range strings.Fields(line) {
		word = strings.Trim(word, "[]")
		if strings.HasPrefix(word, "MESSAGELIMIT") || strings.HasPrefix(word, "SAVELIMIT") {
			out = append(out, word)
		}
	}
	return out
}
