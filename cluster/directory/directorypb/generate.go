// Package directorypb holds the generated codecs of the directory's stored records, command payloads
// and results. The schema and its comments are in directory.proto; cluster/directory is the only
// package that uses them.
package directorypb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-vtproto_out=. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+size directory.proto
