package directory

import (
	"errors"
	"slices"
)

// choiceSetting is one of some words.
func choiceSetting(field func(*Settings) *string, words ...string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", errors.New("none of the words")
		}
		*field(s) = text
		return text, nil
	}
}
