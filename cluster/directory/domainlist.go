package directory

import (
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/address"
)

// maxDomainList bounds how many domains a setting may name.
const maxDomainList = 100

// domainsSetting is for a list of domains, apart by spaces or commas.
func domainsSetting(field func(*Settings) *string) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
		if len(words) > maxDomainList {
			return "", fmt.Errorf("more than %d domains", maxDomainList)
		}
		for i, word := range words {
			d, err := address.ParseDomain(word)
			if err != nil {
				return "", fmt.Errorf("%s is no domain", word)
			}
			words[i] = d
		}
		*field(s) = strings.Join(words, " ")
		return *field(s), nil
	}
}
