package e2etest

import "testing"

// neomuttRound is the story of mutt, told with neomutt.
func neomuttRound(t *testing.T, s *site) { muttStory(t, s, "neomutt") }
