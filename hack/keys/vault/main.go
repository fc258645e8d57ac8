// vault: the Transit secrets engine of HashiCorp Vault behind a small HTTP server, for the tests of
// our client. All of Transit is Vault's own code over a storage in memory. What is ours is what
// Vault's core would do around it: tokens, the mount, the JSON of answers.
//
// Beside the engine's paths under /v1/MOUNT there is PUT /v1/sys/seal and /v1/sys/unseal. The root
// token may do all; a token of --token-file (read again at each request) only what our client is
// told to need: encrypt, decrypt, rewrap, and reading the key.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/logical"
)

type server struct {
	backend   logical.Backend
	storage   logical.Storage
	mount     string
	namespace string
	root      string
	tokenFile string
	sealed    atomic.Bool
}

func fail(w http.ResponseWriter, status int, errors ...string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, errors...)})
}

func (s *server) allowed(r *http.Request, path string) bool {
	token := r.Header.Get("X-Vault-Token")
	if token == s.root {
		return true
	}
	client, err := os.ReadFile(s.tokenFile)
	if err != nil || token == "" || token != strings.TrimSpace(string(client)) {
		return false
	}
	for _, prefix := range []string{"encrypt/", "decrypt/", "rewrap/"} {
		if r.Method == http.MethodPost && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return r.Method == http.MethodGet && strings.HasPrefix(path, "keys/")
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/v1/sys/seal" || r.URL.Path == "/v1/sys/unseal" {
		s.sealed.Store(strings.HasSuffix(r.URL.Path, "/seal"))
		return
	}
	if s.sealed.Load() {
		fail(w, http.StatusServiceUnavailable, "Vault is sealed")
		return
	}
	// Our client's HTTP has no DELETE: POST …/delete stands for it.
	method := r.Method
	if shorter, ok := strings.CutSuffix(r.URL.Path, "/delete"); ok {
		method, r.URL.Path = http.MethodDelete, shorter
	}
	path, below := strings.CutPrefix(r.URL.Path, "/v1/"+s.mount+"/")
	if !below || r.Header.Get("X-Vault-Namespace") != s.namespace {
		fail(w, http.StatusNotFound, "no handler for route")
		return
	}
	if !s.allowed(r, path) {
		fail(w, http.StatusForbidden, "permission denied")
		return
	}
	request := &logical.Request{Storage: s.storage, Path: path, MountPoint: s.mount + "/"}
	switch method {
	case http.MethodGet:
		request.Operation = logical.ReadOperation
	case http.MethodDelete:
		request.Operation = logical.DeleteOperation
	default:
		request.Operation = logical.UpdateOperation
		decoder := json.NewDecoder(r.Body)
		decoder.UseNumber()
		_ = decoder.Decode(&request.Data)
	}
	response, err := s.backend.HandleRequest(context.Background(), request)
	if status, err := logical.RespondErrorCommon(request, response, err); status != 0 || err != nil {
		errors := []string{}
		if err != nil {
			errors = append(errors, strings.TrimSpace(err.Error()))
		}
		fail(w, status, errors...)
		return
	}
	if response == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": response.Data})
}

func main() {
	address := flag.String("address", "127.0.0.1:8200", "where to listen")
	certificate := flag.String("certificate", "", "PEM file of the server's certificate")
	key := flag.String("key", "", "PEM file of its key")
	s := &server{storage: &logical.InmemStorage{}}
	flag.StringVar(&s.mount, "mount", "transit", "path of the engine")
	flag.StringVar(&s.namespace, "namespace", "", "the namespace that it is in")
	flag.StringVar(&s.root, "root-token", "", "the token that may do all")
	flag.StringVar(&s.tokenFile, "token-file", "", "file of the client's token")
	flag.Parse()
	config := &logical.BackendConfig{StorageView: s.storage, System: logical.TestSystemView()}
	backend, err := transit.Factory(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	s.backend = backend
	log.Fatal(http.ListenAndServeTLS(*address, *certificate, *key, s))
}
