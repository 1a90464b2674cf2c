package bodies

import (
	"context"
	"errors"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// Verify reads some packs of a partition.
func (s *Service) Verify(_ context.Context, v adminapi.BlobVerify) (out adminapi.BlobVerified, err error) {
	return out, errors.New("this build cannot verify packs yet")
}
