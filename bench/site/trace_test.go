package site

import "testing"

func TestCountCalls(t *testing.T) {
	text := "100 fsync(7 <unfinished ...>\n101 fdatasync(8)            = 0\n100 <... fsync resumed>)          = 0\n101 +++ exited with 0 +++\n"
	if n := countCalls([]byte(text)); n != 2 {
		t.Errorf("%d calls", n)
	}
}
