package wire

import "slices"

// fuzzy gives a key as it is under FUZZY.
func fuzzy(k SearchKey) SearchKey {
	k.setFuzzy()
	return k
}

// setFuzzy puts a key and all of its parts under FUZZY (RFC 6203, section 3).
func (k *SearchKey) setFuzzy() {
	if k.Fuzzy {
		return // so are its parts
	}
	k.Fuzzy = true
	for i := range k.Keys {
		k.Keys[i].setFuzzy()
	}
}

// anyFuzzy reports whether something stands under FUZZY.
func (k *SearchKey) anyFuzzy() bool {
	return k.Fuzzy || slices.ContainsFunc(k.Keys, func(k SearchKey) bool { return k.anyFuzzy() })
}

// fuzzyTexts counts the texts that stand under FUZZY.
func fuzzyTexts(k *SearchKey) int {
	switch k.Op {
	case SearchHeader, SearchBody, SearchText:
		if k.Fuzzy {
			return 1
		}
	}
	n := 0
	for i := range k.Keys {
		n += fuzzyTexts(&k.Keys[i])
	}
	return n
}
