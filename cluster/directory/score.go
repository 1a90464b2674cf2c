package directory

import (
	"errors"
	"math"
	"strconv"
)

// scoreSetting is a number of points with up to two places, 0 being none.
func scoreSetting(low, high float64, field func(*Settings) *float64) func(*Settings, string) (string, error) {
	return func(s *Settings, text string) (string, error) {
		n, err := ParseScore(text, low, high)
		if err != nil {
			return "", err
		}
		*field(s) = n
		return strconv.FormatFloat(n, 'f', -1, 64), nil
	}
}

// ParseScore reads points such as 5 or 7.5, between two bounds that are both allowed.
func ParseScore(text string, low, high float64) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != n {
		return 0, errors.New("not a number")
	}
	if n < low || n > high {
		return 0, errors.New("out of bounds")
	}
	return math.Round(n*100) / 100, nil
}
