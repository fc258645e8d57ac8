// kms-plugin: a key management plugin made with Kubernetes' own library for them (k8s.io/kms), for
// the tests of our client. Its keys are files of 32 bytes in a directory, by version; the file
// `current` there names the version that encrypts. A file `refuse` makes it refuse with the gRPC
// code that it names, a file `healthz` is what Status tells instead of "ok".
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"flag"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/kms/pkg/service"
)

const annotation = "nonce.plugin.example"

type plugin struct{ keys string }

func (p *plugin) text(name string) (string, error) {
	bytes, err := os.ReadFile(filepath.Join(p.keys, name))
	return strings.TrimSpace(string(bytes)), err
}

func (p *plugin) refusal() error {
	code, err := p.text("refuse")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	number, err := strconv.Atoi(code)
	if err != nil {
		return err
	}
	return status.Error(codes.Code(number), "refused by the test\nin two lines")
}

func (p *plugin) cipher(version string) (cipher.AEAD, error) {
	key, err := os.ReadFile(filepath.Join(p.keys, filepath.Base(version)))
	if errors.Is(err, os.ErrNotExist) {
		return nil, status.Error(codes.NotFound, "there is no key "+version)
	}
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (p *plugin) Encrypt(_ context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	if err := p.refusal(); err != nil {
		return nil, err
	}
	version, err := p.text("current")
	if err != nil {
		return nil, err
	}
	aead, err := p.cipher(version)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return &service.EncryptResponse{
		Ciphertext:  aead.Seal(nil, nonce, data, nil),
		KeyID:       version,
		Annotations: map[string][]byte{annotation: nonce},
	}, nil
}

func (p *plugin) Decrypt(_ context.Context, _ string, request *service.DecryptRequest) ([]byte, error) {
	if err := p.refusal(); err != nil {
		return nil, err
	}
	aead, err := p.cipher(request.KeyID)
	if err != nil {
		return nil, err
	}
	nonce := request.Annotations[annotation]
	if len(nonce) != aead.NonceSize() {
		return nil, status.Error(codes.InvalidArgument, "the annotations are not those of Encrypt")
	}
	data, err := aead.Open(nil, nonce, request.Ciphertext, nil)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return data, nil
}

func (p *plugin) Status(context.Context) (*service.StatusResponse, error) {
	version, err := p.text("current")
	if err != nil {
		return nil, err
	}
	healthz := "ok"
	if told, err := p.text("healthz"); err == nil {
		healthz = told
	}
	return &service.StatusResponse{Version: "v2", Healthz: healthz, KeyID: version}, nil
}

func main() {
	socket := flag.String("socket", "", "path of the socket to serve on")
	keys := flag.String("keys", "", "directory of the keys")
	flag.Parse()
	server := service.NewGRPCService(*socket, 5*time.Second, &plugin{keys: *keys})
	log.Fatal(server.ListenAndServe())
}
