package main

import (
	"errors"
	"time"

	cmtmath "github.com/cometbft/cometbft/libs/math"
	"github.com/cometbft/cometbft/light"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/cometbft/cometbft/types"
)

// block is a light block and the keys that made it.
type block struct {
	signed *types.SignedHeader
	set    *types.ValidatorSet
}

// validatorsFrom takes the keys first, first+1, ... with the given powers.
func validatorsFrom(first int, powers ...int64) (*types.ValidatorSet, signers) {
	keys := signers{}
	validators := make([]*types.Validator, len(powers))
	for i, power := range powers {
		validators[i] = types.NewValidator(key(first+i).PubKey(), power)
		keys[validators[i].Address.String()] = key(first + i)
	}
	return types.NewValidatorSet(validators), keys
}

type setting struct {
	height int64
	after  time.Duration // after blockTime
	chain  string
	flags  []types.BlockIDFlag // nil: all vote for it
	next   *types.ValidatorSet // nil: the same
}

func lightBlock(set *types.ValidatorSet, keys signers, s setting) block {
	header := fullHeader()
	header.ChainID = chainID
	if s.chain != "" {
		header.ChainID = s.chain
	}
	next := s.next
	if next == nil {
		next = set
	}
	header.Height, header.Time = s.height, blockTime.Add(s.after)
	header.ValidatorsHash, header.NextValidatorsHash = set.Hash(), next.Hash()
	header.ProposerAddress = set.Validators[0].Address
	header.EvidenceHash = types.EvidenceList(nil).Hash()
	flags := s.flags
	if flags == nil {
		for range set.Validators {
			flags = append(flags, types.BlockIDFlagCommit)
		}
	}
	id := types.BlockID{Hash: header.Hash(), PartSetHeader: types.PartSetHeader{Total: 1, Hash: digest("parts")}}
	made := commit(set, keys, header.ChainID, s.height, 0, id, flags)
	return block{&types.SignedHeader{Header: &header, Commit: made}, set}
}

func (b block) json() object {
	return object{
		"commit":     rpc(coretypes.NewResultCommit(b.signed.Header, b.signed.Commit, true)),
		"validators": resultValidators(b.set),
	}
}

// lightClientVectors are pairs of blocks and what CometBFT's own light client says to the second, trusting the first.
func lightClientVectors() any {
	const yes, no, absent = types.BlockIDFlagCommit, types.BlockIDFlagNil, types.BlockIDFlagAbsent
	four, fourKeys := validatorsFrom(0, 10, 10, 10, 10)
	other, otherKeys := validatorsFrom(20, 10, 10, 10, 10)
	three, threeKeys := validatorsFrom(2, 10, 10, 10)         // two of the four, one new
	onlyOne, onlyOneKeys := validatorsFrom(3, 10, 10, 10, 10) // one of the four, three new
	uneven, unevenKeys := validatorsFrom(0, 1, 1, 4)
	trusted := lightBlock(four, fourKeys, setting{height: 10})
	soon := setting{height: 11, after: time.Second}
	later := setting{height: 50, after: time.Minute}
	with := func(s setting, change func(*setting)) setting { change(&s); return s }
	altered := func(b block, change func(block)) block { change(b); return b }
	type pair struct {
		name               string
		trusted, untrusted block
		level              cmtmath.Fraction
		period, now        time.Duration
	}
	third, twoThirds := cmtmath.Fraction{Numerator: 1, Denominator: 3}, cmtmath.Fraction{Numerator: 2, Denominator: 3}
	hour := time.Hour
	pairs := []pair{
		{"adjacent", trusted, lightBlock(four, fourKeys, soon), third, hour, hour / 2},
		{"adjacent, other validators than were named", trusted, lightBlock(other, otherKeys, soon), third, hour, hour / 2},
		{
			"adjacent, new validators as named", lightBlock(four, fourKeys, setting{height: 10, next: other}),
			lightBlock(other, otherKeys, soon), third, hour, hour / 2,
		},
		{
			"adjacent, two of four signed", trusted,
			lightBlock(four, fourKeys, with(soon, func(s *setting) { s.flags = []types.BlockIDFlag{yes, yes, absent, absent} })),
			third, hour, hour / 2,
		},
		{
			"adjacent, three of four signed", trusted,
			lightBlock(four, fourKeys, with(soon, func(s *setting) { s.flags = []types.BlockIDFlag{yes, absent, yes, yes} })),
			third, hour, hour / 2,
		},
		{
			"adjacent, one of four for no block", trusted,
			lightBlock(four, fourKeys, with(soon, func(s *setting) { s.flags = []types.BlockIDFlag{yes, no, yes, yes} })),
			third, hour, hour / 2,
		},
		{
			"adjacent, two of four for no block", trusted,
			lightBlock(four, fourKeys, with(soon, func(s *setting) { s.flags = []types.BlockIDFlag{yes, no, no, yes} })),
			third, hour, hour / 2,
		},
		{
			"exactly two thirds of uneven power", lightBlock(uneven, unevenKeys, setting{height: 10}),
			lightBlock(uneven, unevenKeys, with(soon, func(s *setting) { s.flags = []types.BlockIDFlag{yes, absent, absent} })),
			third, hour, hour / 2,
		},
		{
			"over two thirds of uneven power", lightBlock(uneven, unevenKeys, setting{height: 10}),
			lightBlock(uneven, unevenKeys, with(soon, func(s *setting) { s.flags = []types.BlockIDFlag{yes, yes, absent} })),
			third, hour, hour / 2,
		},
		{"skipping, same validators", trusted, lightBlock(four, fourKeys, later), third, hour, hour / 2},
		{"skipping, half of the trusted", trusted, lightBlock(three, threeKeys, later), third, hour, hour / 2},
		{"skipping, half of the trusted is not two thirds", trusted, lightBlock(three, threeKeys, later), twoThirds, hour, hour / 2},
		{"skipping, a quarter of the trusted", trusted, lightBlock(onlyOne, onlyOneKeys, later), third, hour, hour / 2},
		{"skipping, none of the trusted", trusted, lightBlock(other, otherKeys, later), third, hour, hour / 2},
		{"the same height", trusted, lightBlock(four, fourKeys, setting{height: 10, after: time.Second}), third, hour, hour / 2},
		{"an earlier height", trusted, lightBlock(four, fourKeys, setting{height: 9, after: time.Second}), third, hour, hour / 2},
		{"the same time", trusted, lightBlock(four, fourKeys, setting{height: 11}), third, hour, hour / 2},
		{
			"another chain", trusted,
			lightBlock(four, fourKeys, with(soon, func(s *setting) { s.chain = "vectors-2" })), third, hour, hour / 2,
		},
		{
			"in the future, within the drift", trusted,
			lightBlock(four, fourKeys, setting{height: 11, after: hour/2 + 9*time.Second}), third, hour, hour / 2,
		},
		{
			"in the future, at the drift", trusted,
			lightBlock(four, fourKeys, setting{height: 11, after: hour/2 + 10*time.Second}), third, hour, hour / 2,
		},
		{"the trusted is within its period", trusted, lightBlock(four, fourKeys, later), third, hour, hour - 1},
		{"the trusted is at the end of its period", trusted, lightBlock(four, fourKeys, later), third, hour, hour},
		{
			"the first signature is another's", trusted,
			altered(lightBlock(four, fourKeys, later), func(b block) {
				b.signed.Commit.Signatures[0].Signature = b.signed.Commit.Signatures[1].Signature
			}), third, hour, hour / 2,
		},
		{
			"validators that are not in the header", trusted,
			block{lightBlock(four, fourKeys, later).signed, other}, third, hour, hour / 2,
		},
		{
			"a commit for another height", trusted,
			altered(lightBlock(four, fourKeys, later), func(b block) { b.signed.Commit.Height++ }), third, hour, hour / 2,
		},
		{
			"a header that was changed after it was signed", trusted,
			altered(lightBlock(four, fourKeys, later), func(b block) { b.signed.Header.AppHash = digest("lie") }),
			third, hour, hour / 2,
		},
	}
	out := []object{}
	for _, p := range pairs {
		now := blockTime.Add(p.now)
		err := light.Verify(p.trusted.signed, p.trusted.set, p.untrusted.signed, p.untrusted.set, p.period, now,
			10*time.Second, p.level)
		verdict := "trusted"
		var old light.ErrOldHeaderExpired
		var few light.ErrNewValSetCantBeTrusted
		switch {
		case err == nil:
		case errors.As(err, &old), errors.As(err, &few):
			verdict = "not_enough_trust"
		default:
			verdict = "invalid"
		}
		out = append(out, object{
			"name":        p.name,
			"trusted":     p.trusted.json(),
			"untrusted":   p.untrusted.json(),
			"trust_level": []uint64{p.level.Numerator, p.level.Denominator},
			"period_ns":   p.period.Nanoseconds(),
			"now":         now.Format(time.RFC3339Nano),
			"verdict":     verdict,
		})
	}
	return out
}
