package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
)

// failed tells an error in the words of object.Bucket.
func (b *Bucket) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	var answer minio.ErrorResponse
	switch {
	case errors.Is(err, errSize), errors.Is(err, object.ErrDenied):
		return fmt.Errorf("%s: %w", what, err)
	case errors.As(err, &answer):
		return fmt.Errorf("%s: %w", what, b.answered(answer))
	}
	// Refused and broken connections, names that do not resolve, certificates, bodies that end too soon.
	return fmt.Errorf("%s: %w: %v", what, blobstore.ErrUnavailable, err)
}

// answered tells what the store's answer means. Its text comes from the store, or from minio-go.
func (b *Bucket) answered(a minio.ErrorResponse) error {
	text := fmt.Sprintf("%s (%s, HTTP status %d)", a.Message, a.Code, a.StatusCode)
	switch a.Code {
	case "NoSuchKey", "NoSuchVersion":
		return object.ErrNotFound
	case "NoSuchBucket":
		return fmt.Errorf("%w: it has no bucket %q", object.ErrDenied, b.config.Bucket)
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"RequestThrottled", "TooManyRequests":
		return fmt.Errorf("%w: %s", object.ErrSlowDown, text)
	case "RequestTimeTooSkewed":
		return fmt.Errorf("%w: the clocks differ: %s", object.ErrDenied, text)
	case "InternalError", "RequestTimeout", "RequestError", "ServiceUnavailable", "ExpiredToken":
		return fmt.Errorf("%w: %s", blobstore.ErrUnavailable, text)
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "AccountProblem":
		return fmt.Errorf("%w: %s", object.ErrDenied, text)
	}
	return byStatus(a.StatusCode, text)
}

// byStatus goes by the status of an answer whose code says nothing.
func byStatus(status int, text string) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		// A 404 that is not about an object is about the bucket or whoever asks: nothing may be taken
		// for lost because of it.
		return fmt.Errorf("%w: %s", object.ErrDenied, text)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("the object ends before: %w", io.ErrUnexpectedEOF)
	case status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", object.ErrSlowDown, text)
	case status == http.StatusNotImplemented:
		return errors.New(text)
	case status == http.StatusRequestTimeout, status == 499, status >= 500:
		return fmt.Errorf("%w: %s", blobstore.ErrUnavailable, text)
	}
	return errors.New(text)
}
