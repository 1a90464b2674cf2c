package directory

import (
	"fmt"
	"strconv"
	"strings"
)

// Rates are how much may come of one origin; 0 is any number.
type Rates struct {
	Connections int // a minute
	Messages    int // an hour
	Recipients  int // an hour
}

// maxRate bounds each of them.
const maxRate = 10_000_000

// ratesSetting is for rates as connections/messages/recipients, or messages/recipients for an origin that has no connections.
func ratesSetting(connections bool, field func(*Settings) *Rates) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		var r Rates
		into := []*int{&r.Messages, &r.Recipients}
		if connections {
			into = append([]*int{&r.Connections}, into...)
		}
		words := strings.Split(text, "/")
		if len(words) != len(into) {
			return "", fmt.Errorf("not %d numbers", len(into))
		}
		for i, word := range words {
			n, err := strconv.Atoi(strings.TrimSpace(word))
			if err != nil || n < 0 || n > maxRate {
				return "", fmt.Errorf("%q is no number up to %d", word, maxRate)
			}
			*into[i], words[i] = n, strconv.Itoa(n)
		}
		*field(s) = r
		return strings.Join(words, "/"), nil
	}
}
