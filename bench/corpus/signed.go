package corpus

import "fmt"

// Signed are the first messages of another source with a signature each, made before the load begins: signing costs more than
// most of what is measured.
type Signed struct{ messages [][]byte }

var _ Source = (*Signed)(nil)

// NewSigned signs n messages of src.
func NewSigned(src Source, n int, sign func(message []byte) ([]byte, error)) (*Signed, error) {
	s := &Signed{messages: make([][]byte, n)}
	for i := range s.messages {
		signed, err := sign(src.Append(nil, i))
		if err != nil {
			return nil, fmt.Errorf("sign message %d: %w", i, err)
		}
		s.messages[i] = signed
	}
	return s, nil
}

// Append appends message n, which is below the number that was signed.
func (s *Signed) Append(dst []byte, n int) []byte { return append(dst, s.messages[n]...) }
