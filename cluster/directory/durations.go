package directory

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// durationSetting is a time such as 4h or 1d12h; 0 is below low, where none says that it is no time at all.
func durationSetting(low, high time.Duration, none bool, field func(*Settings) *time.Duration) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		if none && text == "0" {
			*field(s) = 0
			return text, nil
		}
		d, err := parseDuration(text, low, high)
		if err != nil {
			return "", err
		}
		*field(s) = d
		return formatDuration(d), nil
	}
}

// maxSteps is how many steps a schedule may have.
const maxSteps = 32

// scheduleSetting is a list of times, apart by spaces.
func scheduleSetting(low, high time.Duration, field func(*Settings) *[]time.Duration) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		words := strings.Fields(text)
		if len(words) == 0 || len(words) > maxSteps {
			return "", fmt.Errorf("%d steps", len(words))
		}
		list := make([]time.Duration, len(words))
		for i, w := range words {
			d, err := parseDuration(w, low, high)
			if err != nil {
				return "", err
			}
			list[i], words[i] = d, formatDuration(d)
		}
		*field(s) = list
		return strings.Join(words, " "), nil
	}
}

// parseDuration reads numbers with their units, the larger first: d, h, m and s.
func parseDuration(text string, low, high time.Duration) (time.Duration, error) {
	var d time.Duration
	rest := text
	for last := 366 * day; rest != ""; {
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n == 0 || n > 8 || n == len(rest) {
			return 0, fmt.Errorf("not a time")
		}
		unit := map[byte]time.Duration{'d': day, 'h': time.Hour, 'm': time.Minute, 's': time.Second}[rest[n]]
		if unit == 0 || unit >= last {
			return 0, fmt.Errorf("not a time")
		}
		v, err := strconv.ParseInt(rest[:n], 10, 64)
		if err != nil || v > int64(high/unit) {
			return 0, fmt.Errorf("out of bounds")
		}
		d, last, rest = d+time.Duration(v)*unit, unit, rest[n+1:]
	}
	if d < low || d > high {
		return 0, fmt.Errorf("out of bounds")
	}
	return d, nil
}

// formatDuration writes whole seconds as parseDuration reads them.
func formatDuration(d time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		unit time.Duration
		name byte
	}{{day, 'd'}, {time.Hour, 'h'}, {time.Minute, 'm'}, {time.Second, 's'}} {
		if n := d / u.unit; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10))
			b.WriteByte(u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}
