// Go with its gRPC, the message made by hand. Exit status 0: allowed, 3: denied, anything else: no answer.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/ioutil"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// Bytes as they are.
type raw struct{}

func (raw) Name() string                                { return "proto" }
func (raw) Marshal(message interface{}) ([]byte, error) { return message.([]byte), nil }
func (raw) Unmarshal(data []byte, into interface{}) error {
	*into.(*[]byte) = append([]byte{}, data...)
	return nil
}

func field(number byte, text string) []byte {
	return append([]byte{number<<3 | 2, byte(len(text))}, text...)
}

func check() ([]byte, error) {
	folder := os.Getenv("CERTIFICATES")
	authority, err := ioutil.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	own, err := tls.LoadX509KeyPair(filepath.Join(folder, "agent.crt"), filepath.Join(folder, "agent.key"))
	if err != nil {
		return nil, err
	}
	mutual := credentials.NewTLS(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}})
	connection, err := grpc.Dial(os.Getenv("PORTAL"), grpc.WithTransportCredentials(mutual))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-agent-id", "peer")
	request := bytes.Join([][]byte{
		field(1, os.Getenv("USERNAME")), field(2, os.Getenv("GROUPNAME")),
		field(3, os.Getenv("IP_REAL")), field(5, os.Getenv("ID")),
	}, nil)
	var answer []byte
	err = connection.Invoke(ctx, "/vpn.v1.AuthService/CheckPolicy", request, &answer, grpc.ForceCodec(raw{}))
	return answer, err
}

func main() {
	answer, err := check()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	// Field 1, `allowed`, is left out where it is false; a denial has its reason in field 2.
	case bytes.HasPrefix(answer, []byte{0x08, 0x01}):
		os.Exit(0)
	case bytes.HasPrefix(answer, []byte{0x12}):
		os.Exit(3)
	}
	os.Exit(2)
}
