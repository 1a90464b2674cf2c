package bayes

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Lengths of words in characters.
const (
	shortWord  = 3  // shorter ones say nothing
	shortOther = 2  // the same of words that are not of ASCII alone
	longWord   = 20 // longer ones are told by their length only
	longNumber = 6  // longer ones are of one message
	keptWord   = 64 // octets that are kept of a word while its end is looked for
)

// splitter parts text into words and gives them to a collector. Text may come in pieces.
type splitter struct {
	c      *collector
	prefix string // before each word
	pairs  bool   // whether two words in a row are a token too

	word   []byte // what is read of a word, in lower case
	size   int    // its characters
	wide   bool   // it has other characters than those of ASCII
	digits bool   // it has nothing but digits
	last   rune   // of a script without spaces, the character before; 0 for none
	before []byte // the word before, with pairs
	carry  []byte // the start of a character whose end is in the next piece
}

// feed reads a piece. It stops where the collector is full.
func (s *splitter) feed(b []byte) {
	if len(s.carry) > 0 {
		b = append(s.carry, b...)
		s.carry = nil
	}
	for i := 0; i < len(b); {
		if n := s.plain(b[i:]); n > 0 {
			i += n
			if s.c.full() {
				return
			}
			continue
		}
		if c := b[i]; c < utf8.RuneSelf {
			i++
			s.ascii(c)
			continue
		}
		if !utf8.FullRune(b[i:]) {
			s.carry = append([]byte(nil), b[i:]...)
			return
		}
		r, size := utf8.DecodeRune(b[i:])
		s.other(r)
		i += size
	}
}

// plain takes a word of ASCII that is whole, with what ends it, as most are, and tells how many octets that is: 0 where the piece does
// not begin with one.
func (s *splitter) plain(b []byte) int {
	if s.size != 0 {
		return 0
	}
	word, digits := s.word[:0], 0
	for i, c := range b[:min(len(b), keptWord)] {
		switch {
		case 'a' <= c && c <= 'z', c == '$':
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case '0' <= c && c <= '9':
			digits++
		case c >= utf8.RuneSelf, c == '\'':
			return 0
		default:
			s.word, s.last = word, 0
			if s.size, s.digits = i, i == digits; i == 0 {
				s.digits = false
			}
			s.end()
			return i + 1
		}
		word = append(word, c)
	}
	return 0
}

// finish ends the last word.
func (s *splitter) finish() {
	s.end()
	s.before, s.carry, s.last = s.before[:0], nil, 0
}

// ascii takes an octet.
func (s *splitter) ascii(c byte) {
	switch {
	case 'a' <= c && c <= 'z', c == '$':
		s.put(c, false)
	case 'A' <= c && c <= 'Z':
		s.put(c+'a'-'A', false)
	case '0' <= c && c <= '9':
		s.put(c, true)
	case c == '\'': // of one word
	default:
		s.last = 0
		s.end()
	}
}

func (s *splitter) put(c byte, digit bool) {
	s.last = 0
	s.digits = digit && (s.size == 0 || s.digits)
	s.size++
	if len(s.word) < keptWord {
		s.word = append(s.word, c)
	}
}

// other takes a character that is not of ASCII.
func (s *splitter) other(r rune) {
	switch {
	case invisible(r):
	case 0xff01 <= r && r <= 0xff5e: // full width
		s.ascii(byte(r - 0xfee0))
	case spaceless(r):
		s.end()
		if s.last != 0 {
			s.c.add(s.prefix, utf8.AppendRune(utf8.AppendRune(nil, s.last), r))
		}
		s.last = r
	case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsDigit(r), r == '€', r == '£', r == '¥':
		s.last = 0
		s.size++
		s.wide, s.digits = true, false
		if len(s.word)+utf8.UTFMax <= keptWord {
			s.word = utf8.AppendRune(s.word, unicode.ToLower(r))
		}
	case r == '’': // as the apostrophe
	default:
		s.last = 0
		s.end()
	}
}

// end gives the word that was read, if there is one.
func (s *splitter) end() {
	if s.size == 0 {
		return
	}
	switch {
	case s.size < shortWord && !s.wide || s.size < shortOther:
	case s.digits && s.size > longNumber:
	case s.size > longWord:
		_, first := utf8.DecodeRune(s.word)
		s.c.addText("long:"+s.prefix, string(s.word[:first])+" "+strconv.Itoa(s.size/10*10))
	default:
		s.c.add(s.prefix, s.word)
		if s.pairs {
			if len(s.before) > 0 {
				s.c.add(s.prefix+string(s.before)+" ", s.word)
			}
			s.before = append(s.before[:0], s.word...)
		}
	}
	s.word, s.size, s.wide = s.word[:0], 0, false
}

// invisible reports characters that spammers put into words.
func invisible(r rune) bool {
	return r == 0xad || 0x200b <= r && r <= 0x200f || 0x2060 <= r && r <= 0x2064 || r == 0xfeff || r == 0x034f
}

// spaceless reports characters of scripts that part no words: two in a row are taken for one.
func spaceless(r rune) bool {
	switch {
	case 0x0e00 <= r && r <= 0x0eff, 0x1000 <= r && r <= 0x109f, 0x1780 <= r && r <= 0x17ff: // Thai, Lao; Burmese; Khmer
		return true
	}
	return 0x3040 <= r && r <= 0x30ff || 0x3400 <= r && r <= 0x9fff || 0xf900 <= r && r <= 0xfaff || 0x20000 <= r && r <= 0x3ffff
}
