// Package indexpb holds the generated codecs of a partition's stored records and commands. The
// schema and its comments are in index.proto.
package indexpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-vtproto_out=. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+unmarshal_unsafe+size index.proto
