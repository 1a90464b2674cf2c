package message

import "github.com/rookery-mail/rookery/index/indexpb"

// FindPart finds a part by its number (RFC 9051, section 6.4.5.1): [2 1] is the first part of the
// second. The parts of an embedded message are counted as those of a message by itself; a message that
// is no multipart has a part 1, which is itself. An empty path is the top part.
func FindPart(structure *indexpb.Part, path []int) (*indexpb.Part, bool) {
	part := structure
	for i, n := range path {
		whole := i == 0 // part is all of a message, whose only part may have the number 1
		if i > 0 && part.Envelope != nil && len(part.Children) == 1 {
			part, whole = part.Children[0], true
		}
		switch {
		case string(part.Type) == "multipart":
			if n < 1 || n > len(part.Children) {
				return nil, false
			}
			part = part.Children[n-1]
		case whole && n == 1:
		default:
			return nil, false
		}
	}
	return part, true
}
