// Command comet_vectors writes tests/vectors/comet/*.json from CometBFT's own packages, so that the forms in
// tallystick.proof are held to them byte for byte.
//
//	cd tools/comet_vectors && go run . ../../tests/vectors/comet
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/crypto/merkle"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"
)

const chainID = "vectors-1"

type object map[string]any

var blockTime = time.Date(2026, 11, 22, 8, 22, 5, 123456789, time.UTC)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: comet_vectors DIRECTORY")
	}
	for name, vectors := range map[string]any{
		"merkle":       merkleVectors(),
		"times":        timeVectors(),
		"headers":      headerVectors(),
		"validators":   validatorVectors(),
		"commits":      commitVectors(),
		"votes":        voteVectors(),
		"data":         dataVectors(),
		"results":      resultVectors(),
		"params":       paramsVectors(),
		"light_blocks": lightBlockVectors(),
		"embedded":     embeddedVectors(),
		"light_client": lightClientVectors(),
	} {
		write(filepath.Join(os.Args[1], name+".json"), vectors)
	}
}

func write(path string, vectors any) {
	file := object{
		"generator": "tools/comet_vectors/main.go",
		"cometbft":  "v" + version.TMCoreSemVer,
		"vectors":   vectors,
	}
	text, err := json.MarshalIndent(file, "", " ")
	check(err)
	check(os.WriteFile(path, append(text, '\n'), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// digest is a stand-in for any hash: fixed, and different for each label.
func digest(label string) []byte {
	sum := sha256.Sum256([]byte(label))
	return sum[:]
}

func hexes(items [][]byte) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = hex.EncodeToString(item)
	}
	return out
}

// rpc is a value in the form that CometBFT's RPC sends.
func rpc(value any) json.RawMessage {
	text, err := cmtjson.Marshal(value)
	check(err)
	return text
}

type marshaler interface{ Marshal() ([]byte, error) }

func proto(message marshaler) string {
	raw, err := message.Marshal()
	check(err)
	return hex.EncodeToString(raw)
}

func merkleVectors() any {
	out := []object{}
	for _, total := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33, 100} {
		leaves := make([][]byte, total)
		for i := range leaves {
			if i%5 != 4 { // every fifth is empty
				leaves[i] = []byte("leaf " + strconv.Itoa(i))
			}
		}
		root, proofs := merkle.ProofsFromByteSlices(leaves)
		chosen := []object{}
		for i, proof := range proofs {
			if total > 9 && i%16 != 0 && i != total-1 {
				continue
			}
			check(proof.Verify(root, leaves[i]))
			chosen = append(chosen, object{"index": i, "aunts": hexes(proof.Aunts)})
		}
		out = append(out, object{"total": total, "root": hex.EncodeToString(root), "proofs": chosen})
	}
	return out
}

func times() map[string]time.Time {
	return map[string]time.Time{
		"no time":              {},
		"a day after no time":  time.Date(1, 1, 2, 0, 0, 0, 1, time.UTC),
		"before the epoch":     time.Date(1969, 12, 31, 23, 59, 58, 999999999, time.UTC),
		"epoch":                time.Unix(0, 0).UTC(),
		"a nanosecond after":   time.Unix(0, 1).UTC(),
		"now":                  blockTime,
		"to the millisecond":   time.Date(2026, 11, 22, 8, 22, 5, 120000000, time.UTC),
		"leap day of 2000":     time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC),
		"no leap day in 1900":  time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC),
		"end of the year 2400": time.Date(2400, 12, 31, 23, 59, 59, 0, time.UTC),
		"last":                 time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
	}
}

func timeVectors() any {
	out := object{}
	for name, t := range times() {
		out[name] = object{"text": rpc(t), "seconds": t.Unix(), "nanos": t.Nanosecond()}
	}
	return out
}

func blockID(label string) types.BlockID {
	return types.BlockID{
		Hash:          digest(label),
		PartSetHeader: types.PartSetHeader{Total: 3, Hash: digest(label + " parts")},
	}
}

func fullHeader() types.Header {
	return types.Header{
		Version:            cmtversion.Consensus{Block: version.BlockProtocol, App: 1},
		ChainID:            chainID,
		Height:             12345,
		Time:               blockTime,
		LastBlockID:        blockID("last block"),
		LastCommitHash:     digest("last commit"),
		DataHash:           digest("data"),
		ValidatorsHash:     digest("validators"),
		NextValidatorsHash: digest("next validators"),
		ConsensusHash:      digest("consensus"),
		AppHash:            digest("app"),
		LastResultsHash:    digest("last results"),
		EvidenceHash:       digest("evidence"),
		ProposerAddress:    digest("proposer")[:20],
	}
}

func headerVectors() any {
	headers := map[string]types.Header{"full": fullHeader(), "zero": {}}
	for name, change := range map[string]func(*types.Header){
		"no app version":     func(h *types.Header) { h.Version.App = 0 },
		"no version":         func(h *types.Header) { h.Version = cmtversion.Consensus{} },
		"large app version":  func(h *types.Header) { h.Version.App = 1<<64 - 1 },
		"height 1":           func(h *types.Header) { h.Height = 1; h.LastBlockID = types.BlockID{} },
		"height 0":           func(h *types.Header) { h.Height = 0 },
		"last height":        func(h *types.Header) { h.Height = 1<<63 - 1 },
		"no chain id":        func(h *types.Header) { h.ChainID = "" },
		"long chain id":      func(h *types.Header) { h.ChainID = "c23456789-123456789-123456789-123456789-<&>-567890" },
		"no app hash":        func(h *types.Header) { h.AppHash = nil },
		"no validators hash": func(h *types.Header) { h.ValidatorsHash = nil },
		"no proposer":        func(h *types.Header) { h.ProposerAddress = nil },
		"no last hashes": func(h *types.Header) {
			h.LastCommitHash, h.LastResultsHash, h.DataHash, h.EvidenceHash = nil, nil, nil, nil
		},
		"one part": func(h *types.Header) { h.LastBlockID.PartSetHeader.Total = 1 },
		"all parts": func(h *types.Header) {
			h.LastBlockID.PartSetHeader.Total = 1<<32 - 1
		},
	} {
		header := fullHeader()
		change(&header)
		headers[name] = header
	}
	for _, name := range []string{"no time", "before the epoch", "epoch", "last"} {
		header := fullHeader()
		header.Time = times()[name]
		headers["time: "+name] = header
	}
	out := object{}
	for name, header := range headers {
		encoded, err := header.ToProto().Marshal()
		check(err)
		out[name] = object{
			"rpc":          rpc(header),
			"proto_sha256": hex.EncodeToString(digest(string(encoded))),
			"hash":         hex.EncodeToString(header.Hash()),
		}
	}
	return out
}

func key(i int) ed25519.PrivKey {
	return ed25519.GenPrivKeyFromSecret([]byte("validator " + strconv.Itoa(i)))
}

// signers are validators' private keys by address.
type signers = map[string]ed25519.PrivKey

func validatorSet(powers ...int64) (*types.ValidatorSet, signers) {
	return validatorsFrom(0, powers...)
}

func resultValidators(set *types.ValidatorSet) json.RawMessage {
	return rpc(coretypes.ResultValidators{
		BlockHeight: 1, Validators: set.Validators, Count: set.Size(), Total: set.Size(),
	})
}

func validatorVectors() any {
	out := []object{}
	for _, powers := range [][]int64{
		{}, {1}, {10}, {10, 10, 10, 10}, {1, 2, 3, 4, 5, 6, 7}, {1 << 40, 1, 1 << 40}, {1<<60 - 1},
	} {
		set, _ := validatorSet(powers...)
		encoded := []string{}
		for _, validator := range set.Validators {
			encoded = append(encoded, hex.EncodeToString(validator.Bytes()))
		}
		out = append(out, object{
			"given":  powers, // the keys are validator 0, 1, ... as given
			"rpc":    resultValidators(set),
			"simple": encoded,
			"hash":   hex.EncodeToString(set.Hash()),
		})
	}
	return out
}

// commit lets each validator of the set say "commit", "nil" or nothing.
func commit(
	set *types.ValidatorSet, keys signers, chain string, height int64, round int32,
	id types.BlockID, flags []types.BlockIDFlag,
) *types.Commit {
	out := &types.Commit{Height: height, Round: round, BlockID: id, Signatures: []types.CommitSig{}}
	for i, flag := range flags {
		if flag == types.BlockIDFlagAbsent {
			out.Signatures = append(out.Signatures, types.NewCommitSigAbsent())
			continue
		}
		out.Signatures = append(out.Signatures, types.CommitSig{
			BlockIDFlag:      flag,
			ValidatorAddress: set.Validators[i].Address,
			Timestamp:        blockTime.Add(time.Duration(i) * 7 * time.Millisecond),
		})
		signature, err := keys[set.Validators[i].Address.String()].Sign(out.VoteSignBytes(chain, int32(i)))
		check(err)
		out.Signatures[i].Signature = signature
	}
	return out
}

func commitVectors() any {
	const yes, no, absent = types.BlockIDFlagCommit, types.BlockIDFlagNil, types.BlockIDFlagAbsent
	out := object{}
	for name, c := range map[string]struct {
		height int64
		round  int32
		id     types.BlockID
		flags  []types.BlockIDFlag
	}{
		"none":             {0, 0, types.BlockID{}, nil},
		"one":              {1, 0, blockID("one"), []types.BlockIDFlag{yes}},
		"all of four":      {1 << 40, 0, blockID("four"), []types.BlockIDFlag{yes, yes, yes, yes}},
		"absent and nil":   {77, 3, blockID("mixed"), []types.BlockIDFlag{yes, absent, yes, no}},
		"all absent":       {78, 1<<31 - 1, blockID("nobody"), []types.BlockIDFlag{absent, absent}},
		"five, odd number": {79, 1, blockID("five"), []types.BlockIDFlag{no, yes, yes, yes, yes}},
	} {
		powers := make([]int64, len(c.flags))
		for i := range powers {
			powers[i] = 10
		}
		set, keys := validatorSet(powers...)
		made := commit(set, keys, chainID, c.height, c.round, c.id, c.flags)
		signed := [][]byte{}
		for i := range made.Signatures {
			signed = append(signed, made.VoteSignBytes(chainID, int32(i)))
		}
		out[name] = object{
			"rpc":        rpc(made),
			"chain_id":   chainID,
			"hash":       hex.EncodeToString(made.Hash()),
			"sign_bytes": hexes(signed),
		}
	}
	return out
}

func voteVectors() any {
	out := [][]any{}
	voted := blockID("voted")
	for _, chain := range []string{"", chainID, "合符-1"} {
		for _, height := range []int64{0, 1, 1<<63 - 1} {
			for _, round := range []int32{0, 1, 1<<31 - 1} {
				for _, id := range []types.BlockID{{}, voted} {
					for _, t := range []time.Time{{}, blockTime} {
						vote := types.Vote{
							Type: cmtproto.PrecommitType, Height: height, Round: round, BlockID: id, Timestamp: t,
						}
						sum := sha256.Sum256(types.VoteSignBytes(chain, vote.ToProto()))
						out = append(out, []any{
							chain, strconv.FormatInt(height, 10), round, id.Equals(voted), rpc(t), hex.EncodeToString(sum[:]),
						})
					}
				}
			}
		}
	}
	columns := "chain_id, height, round, whether for block_id, timestamp, SHA-256 of the sign bytes"
	return object{"block_id": rpc(voted), "columns": columns, "rows": out}
}

func dataVectors() any {
	out := []object{}
	for _, total := range []int{0, 1, 2, 3, 5, 8, 13} {
		txs := make(types.Txs, total)
		for i := range txs {
			txs[i] = []byte(fmt.Sprintf("transaction %d", i)[:i%14+1])
		}
		data := types.Data{Txs: txs}
		out = append(out, object{
			"transactions": hexes(txs.ToSliceOfBytes()), "hash": hex.EncodeToString(data.Hash()),
		})
	}
	return append(out, object{
		"transactions": []string{""}, "hash": hex.EncodeToString((&types.Data{Txs: types.Txs{{}}}).Hash()),
	})
}

func resultVectors() any {
	out := []object{}
	long := make([]byte, 300)
	all := []*abci.ExecTxResult{
		{}, {Code: 1}, {Data: []byte("{}")}, {Code: 301, Data: []byte(`{"status":"x"}`)},
		{Code: 1<<32 - 1, Data: long}, {Code: 127}, {Code: 128, Data: long[:127]}, {Data: long[:128]},
		{Code: 2, Log: "left out", Info: "left out", Codespace: "left out"},
	}
	for total := 0; total <= len(all); total++ {
		results := types.NewResults(all[:total])
		given, encoded := []object{}, []string{}
		for _, result := range results {
			given = append(given, object{"code": result.Code, "data": hex.EncodeToString(result.Data)})
			encoded = append(encoded, proto(result))
		}
		vector := object{"total": total, "hash": hex.EncodeToString(results.Hash())}
		if total == len(all) {
			vector["results"], vector["proto"] = given, encoded
		}
		out = append(out, vector)
	}
	return out
}

func paramsVectors() any {
	out := []object{}
	params := types.DefaultConsensusParams()
	add := func() {
		out = append(out, object{
			"max_bytes": params.Block.MaxBytes, "max_gas": params.Block.MaxGas,
			"hash": hex.EncodeToString(params.Hash()),
		})
	}
	add()
	for _, limits := range [][2]int64{{2 << 20, -1}, {-1, -1}, {0, 0}, {1, 1 << 62}, {200 << 20, 0}} {
		params.Block.MaxBytes, params.Block.MaxGas = limits[0], limits[1]
		add()
	}
	return out
}

// lightBlockVectors are whole answers of /commit and /validators that CometBFT's light client accepts.
func lightBlockVectors() any {
	const yes, no, absent = types.BlockIDFlagCommit, types.BlockIDFlagNil, types.BlockIDFlagAbsent
	out := []object{}
	for _, flags := range [][]types.BlockIDFlag{{yes}, {yes, yes, absent, yes}, {yes, no, yes, absent, yes, yes, yes}} {
		powers := make([]int64, len(flags))
		for i := range powers {
			powers[i] = 10
		}
		set, keys := validatorSet(powers...)
		set.IncrementProposerPriority(3)
		header := fullHeader()
		header.ValidatorsHash, header.NextValidatorsHash = set.Hash(), set.Hash()
		header.ProposerAddress = set.GetProposer().Address
		header.EvidenceHash = types.EvidenceList(nil).Hash()
		id := types.BlockID{Hash: header.Hash(), PartSetHeader: types.PartSetHeader{Total: 1, Hash: digest("parts")}}
		made := commit(set, keys, chainID, header.Height, 0, id, flags)
		signed := types.SignedHeader{Header: &header, Commit: made}
		check(types.LightBlock{SignedHeader: &signed, ValidatorSet: set}.ValidateBasic(chainID))
		check(types.VerifyCommitLight(chainID, set, id, header.Height, made))
		out = append(out, object{
			"commit":     rpc(coretypes.NewResultCommit(&header, made, true)),
			"validators": resultValidators(set),
			"hash":       hex.EncodeToString(header.Hash()),
		})
	}
	return out
}

// embeddedVectors are blocks as the embedded engine makes them (docs/spec/light-block.md): one validator, one part,
// and that part is the encoded header.
func embeddedVectors() any {
	out := []object{}
	set, keys := validatorSet(1)
	last := types.BlockID{}
	for height := int64(1); height <= 3; height++ {
		header := fullHeader()
		header.Height, header.LastBlockID = height, last
		header.Time = blockTime.Add(time.Duration(height) * time.Millisecond)
		header.ValidatorsHash, header.NextValidatorsHash = set.Hash(), set.Hash()
		header.ProposerAddress = set.Validators[0].Address
		header.EvidenceHash = types.EvidenceList(nil).Hash()
		raw, err := header.ToProto().Marshal()
		check(err)
		parts := types.NewPartSetFromData(raw, types.BlockPartSizeBytes)
		id := types.BlockID{Hash: header.Hash(), PartSetHeader: parts.Header()}
		made := &types.Commit{Height: height, BlockID: id, Signatures: []types.CommitSig{{
			BlockIDFlag:      types.BlockIDFlagCommit,
			ValidatorAddress: set.Validators[0].Address,
			Timestamp:        header.Time,
		}}}
		private := keys[set.Validators[0].Address.String()]
		made.Signatures[0].Signature, err = private.Sign(made.VoteSignBytes(chainID, 0))
		check(err)
		signed := types.SignedHeader{Header: &header, Commit: made}
		check(types.LightBlock{SignedHeader: &signed, ValidatorSet: set}.ValidateBasic(chainID))
		check(types.VerifyCommitLight(chainID, set, id, height, made))
		out = append(out, object{
			"seed":       hex.EncodeToString(private.Bytes()[:32]),
			"commit":     rpc(coretypes.NewResultCommit(&header, made, true)),
			"validators": resultValidators(set),
		})
		last = id
	}
	return out
}
