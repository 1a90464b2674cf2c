package adminapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rookery-mail/rookery/blobstore/setting"
)

// BlobStores is where the bodies of messages are, and how they get there.
type BlobStores interface {
	// BlobSetting gives the setting; one without a URL where there never was one.
	BlobSetting(ctx context.Context) (setting.Setting, error)
	// UseBlobs checks a setting on every node and has it take effect.
	UseBlobs(ctx context.Context, u BlobUse) error
	Blobs(ctx context.Context) (Blobs, error)
	BlobStats(ctx context.Context) (BlobStats, error)
	// FlushBlobs asks that all that is staged be packed now, and says what is left.
	FlushBlobs(ctx context.Context) (BlobWork, error)
	// CollectBlobs asks that what is no longer used be collected now, and says what is left.
	CollectBlobs(ctx context.Context, c BlobCollect) (BlobWork, error)
	// VerifyBlobs reads some packs of a partition and holds them against what should be in them.
	VerifyBlobs(ctx context.Context, v BlobVerify) (BlobVerified, error)
}

// BlobKeys are the keys that bodies in object storage are encrypted with.
type BlobKeys interface {
	BlobKeys(ctx context.Context) ([]BlobKey, error)
	RotateBlobKey(ctx context.Context) (BlobKey, error)
	RetireBlobKey(ctx context.Context, id string) error
	ExportBlobKeys(ctx context.Context) (BlobSecrets, error)
	ImportBlobKeys(ctx context.Context, keys BlobSecrets) error
}

// BlobUse asks for a setting of object storage.
type BlobUse struct {
	Setting setting.Setting `json:"setting"` // its Key, Retiring and Serial are passed over: the node knows them
	Moved   bool            `json:"moved"`   // the objects were copied from the old place to this one
	Check   bool            `json:"check"`   // try the store and open it anew, even if it is the same
}

// Blobs is what the cluster knows of its object storage at this moment.
type Blobs struct {
	Setting    setting.Setting `json:"setting"`
	Nodes      []BlobNode      `json:"nodes"`
	Partitions []BlobPartition `json:"partitions"`
}

// BlobNode is object storage as one node sees it. Counts are since the node started.
type BlobNode struct {
	Node         string            `json:"node"`
	Answers      bool              `json:"answers"`
	Up           bool              `json:"up"`                   // the store answered the last request
	LastError    string            `json:"last_error,omitempty"` // of the store
	Since        time.Time         `json:"since,omitzero"`       // the counts
	Staged       uint64            `json:"staged_bytes"`         // in the replicas on the node
	StagingBound uint64            `json:"staging_bound"`
	Requests     map[string]uint64 `json:"requests"` // by kind: put, get, stat, delete, list
	Sent         uint64            `json:"sent_bytes"`
	Received     uint64            `json:"received_bytes"`
	Packed       uint64            `json:"packed_bodies"`
	PackedBytes  uint64            `json:"packed_bytes"`
	Cache        BlobCache         `json:"cache"`
}

// BlobCache is the disk cache of a node. Counts are since the node started.
type BlobCache struct {
	Bytes   uint64 `json:"bytes"`
	Bound   uint64 `json:"bound"`
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Damaged uint64 `json:"damaged"` // reads whose checksum was wrong
}

// BlobPartition is how far the bodies of a partition are, as its leader says.
type BlobPartition struct {
	Partition    uint16    `json:"partition"`
	Leader       string    `json:"leader"` // empty where nobody leads or answers
	Mode         string    `json:"mode"`   // embedded, listing, packed, homing
	StagedBytes  uint64    `json:"staged_bytes"`
	StagedBodies uint64    `json:"staged_bodies"`
	StagedSince  time.Time `json:"staged_since,omitzero"`
	Packs        int       `json:"packs"`  // whole ones
	Open         int       `json:"open"`   // packs that are being made
	Doomed       int       `json:"doomed"` // packs whose objects are to be deleted
	LiveBytes    uint64    `json:"live_bytes"`
	LiveBodies   uint64    `json:"live_bodies"`
	DeadBytes    uint64    `json:"dead_bytes"`
	ObjectBytes  uint64    `json:"object_bytes"` // of all packs
	Doing        string    `json:"doing,omitempty"`
	Rate         float64   `json:"rate,omitempty"` // octets a second that are packed or brought home
	LastError    string    `json:"last_error,omitempty"`
}

// BlobStats is what object storage holds and takes, of the whole cluster. Counts are since the nodes started.
type BlobStats struct {
	Packs           int                `json:"packs"`  // whole ones
	Open            int                `json:"open"`   // packs that are being made
	Doomed          int                `json:"doomed"` // packs whose objects are to be deleted
	ObjectBytes     uint64             `json:"object_bytes"`
	LiveBytes       uint64             `json:"live_bytes"`
	LiveBodies      uint64             `json:"live_bodies"`
	DeadBytes       uint64             `json:"dead_bytes"`
	StagedBytes     uint64             `json:"staged_bytes"`
	StagedBodies    uint64             `json:"staged_bodies"`
	Packed          uint64             `json:"packed_bodies"`
	Requests        map[string]uint64  `json:"requests"`          // by kind: put, get, stat, delete, list
	RequestsPer1000 map[string]float64 `json:"requests_per_1000"` // bodies packed, by kind; empty where none were
	Sent            uint64             `json:"sent_bytes"`
	Received        uint64             `json:"received_bytes"`
	Seconds         float64            `json:"seconds"` // that the counts cover, of the node that runs longest
	Cost            BlobCost           `json:"cost"`
}

// BlobCost is an estimate of what a month takes: what is kept now, and requests as they came since the start.
type BlobCost struct {
	Storage  float64 `json:"storage"`
	Requests float64 `json:"requests"`
	Egress   float64 `json:"egress"`
	Total    float64 `json:"total"`
	Currency string  `json:"currency"`
	Source   string  `json:"source"` // of the prices
}

// BlobWork is what is left of a piece of work.
type BlobWork struct {
	Left     int      `json:"left"`  // bodies to be packed, or packs to be rewritten or deleted
	Bytes    uint64   `json:"bytes"` // of them
	Problems []string `json:"problems"`
	// Partitions are those whose leaders were asked.
	Partitions []uint16 `json:"partitions"`
}

// BlobCollect asks for a collection.
type BlobCollect struct {
	GraceSeconds *int64 `json:"grace_seconds,omitempty"` // in place of the setting's
}

// BlobVerify asks for some packs of a partition to be read whole.
type BlobVerify struct {
	Partition uint16 `json:"partition"`
	After     uint64 `json:"after"`          // the last pack that was looked at, 0 at first
	Rate      int64  `json:"rate,omitempty"` // octets a second, 0 for as fast as it goes
}

// BlobVerified is what was found.
type BlobVerified struct {
	After    uint64   `json:"after"` // to go on with
	More     bool     `json:"more"`
	Packs    int      `json:"packs"`
	Bodies   int      `json:"bodies"`
	Bytes    uint64   `json:"bytes"`
	Problems []string `json:"problems"`
}

// BlobKey is a key without its secret.
type BlobKey struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Current  bool      `json:"current"`  // encrypts new packs
	Retiring bool      `json:"retiring"` // its packs are being rewritten
	Packs    int       `json:"packs"`    // that are encrypted with it
}

// BlobSecrets are keys with their secrets.
type BlobSecrets struct {
	Text string `json:"text"` // a line for each, as blobstore/FORMAT.md describes it
}

func blobRoutes(mux *http.ServeMux, b BlobStores) {
	mux.HandleFunc("GET /v1/blobs", func(w http.ResponseWriter, r *http.Request) { answer(w)(b.Blobs(r.Context())) })
	mux.HandleFunc("GET /v1/blobs/stats", func(w http.ResponseWriter, r *http.Request) { answer(w)(b.BlobStats(r.Context())) })
	mux.HandleFunc("GET /v1/blobs/setting", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(b.BlobSetting(r.Context()))
	})
	mux.HandleFunc("PUT /v1/blobs/setting", put(b.UseBlobs))
	mux.HandleFunc("POST /v1/blobs/flush", func(w http.ResponseWriter, r *http.Request) { answer(w)(b.FlushBlobs(r.Context())) })
	mux.HandleFunc("POST /v1/blobs/collect", func(w http.ResponseWriter, r *http.Request) {
		var in BlobCollect
		if !decode(w, r, &in) {
			return
		}
		if in.GraceSeconds != nil && *in.GraceSeconds < 0 {
			fail(w, fmt.Errorf("%w: a grace time below nothing", errBadRequest))
			return
		}
		answer(w)(b.CollectBlobs(r.Context(), in))
	})
	mux.HandleFunc("POST /v1/blobs/verify", func(w http.ResponseWriter, r *http.Request) {
		var in BlobVerify
		if decode(w, r, &in) {
			answer(w)(b.VerifyBlobs(r.Context(), in))
		}
	})
}

func blobKeyRoutes(mux *http.ServeMux, k BlobKeys) {
	mux.HandleFunc("GET /v1/blobs/keys", func(w http.ResponseWriter, r *http.Request) { answer(w)(k.BlobKeys(r.Context())) })
	mux.HandleFunc("POST /v1/blobs/keys", func(w http.ResponseWriter, r *http.Request) { answer(w)(k.RotateBlobKey(r.Context())) })
	mux.HandleFunc("POST /v1/blobs/keys/{id}/retire", byName("id", k.RetireBlobKey))
}

// blobSecretRoutes are for the node's own socket alone: a token for the API reads no mail.
func blobSecretRoutes(mux *http.ServeMux, k BlobKeys) {
	mux.HandleFunc("GET /v1/blobs/secrets", func(w http.ResponseWriter, r *http.Request) { answer(w)(k.ExportBlobKeys(r.Context())) })
	mux.HandleFunc("POST /v1/blobs/secrets", put(k.ImportBlobKeys))
}
