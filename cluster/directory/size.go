package directory

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// sizeUnits are the suffixes of sizes, the longest step first.
func sizeUnits() []struct {
	suffix string
	shift  int
} {
	return []struct {
		suffix string
		shift  int
	}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}
}

// ParseSize reads a number of octets: plain, or with one of the suffixes K, M, G and T, which may end
// in B or iB and are powers of 1024.
func ParseSize(text string) (uint64, error) {
	digits := strings.TrimRight(strings.ToLower(strings.TrimSpace(text)), "kmgtib ")
	suffix := strings.TrimSpace(strings.ToLower(strings.TrimSpace(text))[len(digits):])
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("not a size")
	}
	if suffix == "" || suffix == "b" {
		return n, nil
	}
	for _, unit := range sizeUnits() {
		long := strings.ToLower(unit.suffix)
		if suffix != long && suffix != long[:1] && suffix != long[:1]+"b" {
			continue
		}
		if n != 0 && bits.Len64(n)+unit.shift > 63 {
			return 0, fmt.Errorf("too large")
		}
		return n << unit.shift, nil
	}
	return 0, fmt.Errorf("%q is no unit", suffix)
}

// FormatSize writes a number of octets in the largest unit that needs no fraction, as ParseSize
// reads it.
func FormatSize(n uint64) string {
	for _, unit := range sizeUnits() {
		if n != 0 && n&(1<<unit.shift-1) == 0 {
			return strconv.FormatUint(n>>unit.shift, 10) + unit.suffix
		}
	}
	return strconv.FormatUint(n, 10)
}

func sizeSetting(low, high uint64, field func(*Settings) *uint64) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		n, err := ParseSize(text)
		if err != nil {
			return "", err
		}
		if n < low || n > high {
			return "", fmt.Errorf("out of bounds")
		}
		*field(s) = n
		return FormatSize(n), nil
	}
}
