package directory

import (
	"fmt"
	"regexp"
	"strings"
)

// limit is what receiver_limits says of one site; package receiver of mta reads the figures.
var limit = regexp.MustCompile(`^(\*|[a-z0-9.:_-]{1,253})=[1-9][0-9]{0,5}/[1-9][0-9]{0,5}/(0|[1-9][0-9]{0,5})$`)

// limitsSetting is what receivers are sent at most: site=connections/messages/rate.
func limitsSetting(field func(*Settings) *string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		words := strings.Fields(strings.ToLower(text))
		for _, w := range words {
			if !limit.MatchString(w) {
				return "", fmt.Errorf("%q is not a site and three numbers", w)
			}
		}
		if *field(s) = strings.Join(words, " "); len(*field(s)) > 4096 {
			return "", fmt.Errorf("too long")
		}
		return *field(s), nil
	}
}
