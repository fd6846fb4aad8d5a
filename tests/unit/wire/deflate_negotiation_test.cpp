// Which offers of permessage-deflate are taken, and the bytes that say so.
#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "weir/wire/deflate.h"

namespace weir::wire {
namespace {

using AnswerKind = DeflateAnswer::Kind;
using Lines = std::vector<std::string_view>;

constexpr DeflateRules kShared{.mode = Compression::shared};
constexpr DeflateRules kDedicated{.mode = Compression::dedicated};
constexpr DeflateRules kDedicated11{.mode = Compression::dedicated, .window_bits = 11};

struct AgreedCase {
  std::string_view what;
  DeflateRules rules;
  Lines lines;
  std::string_view response;
  DeflateTerms terms;
};

constexpr bool kNoServerContext = true, kNoClientContext = true;

const AgreedCase kAgreed[] = {
    {"shared tells both sides to keep nothing",
     kShared,
     {"permessage-deflate"},
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
     {kNoServerContext, kNoClientContext, 15, 15}},
    {"shared, as browsers ask",
     kShared,
     {"permessage-deflate; client_max_window_bits"},
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
     {kNoServerContext, kNoClientContext, 15, 15}},
    {"shared keeps to the window that the client can hold",
     kShared,
     {"permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"},
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
     "server_max_window_bits=10",
     {kNoServerContext, kNoClientContext, 10, 15}},
    {"shared is not bound by the window of dedicated",
     {.mode = Compression::shared, .window_bits = 9},
     {"permessage-deflate"},
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
     {kNoServerContext, kNoClientContext, 15, 15}},
    {"dedicated adds nothing unasked",
     kDedicated,
     {"permessage-deflate"},
     "permessage-deflate",
     {}},
    {"dedicated, as browsers ask",
     kDedicated,
     {"permessage-deflate; client_max_window_bits"},
     "permessage-deflate",
     {}},
    {"a server context that is not wanted",
     kDedicated,
     {"permessage-deflate; server_no_context_takeover"},
     "permessage-deflate; server_no_context_takeover",
     {kNoServerContext, false, 15, 15}},
    {"a client that will keep none",
     kDedicated,
     {"permessage-deflate; client_no_context_takeover"},
     "permessage-deflate; client_no_context_takeover",
     {false, kNoClientContext, 15, 15}},
    {"the largest window, asked for, is repeated",
     kDedicated,
     {"permessage-deflate; server_max_window_bits=15"},
     "permessage-deflate; server_max_window_bits=15",
     {}},
    {"the smallest window of the server",
     kDedicated,
     {"permessage-deflate; server_max_window_bits=8"},
     "permessage-deflate; server_max_window_bits=8",
     {false, false, 8, 15}},
    {"the smallest window of the client",
     kDedicated,
     {"permessage-deflate; client_max_window_bits=8"},
     "permessage-deflate; client_max_window_bits=8",
     {false, false, 15, 8}},
    {"a client's window of 15 needs no words",
     kDedicated,
     {"permessage-deflate; client_max_window_bits=15"},
     "permessage-deflate",
     {}},
    {"our cap on both windows",
     kDedicated11,
     {"permessage-deflate; client_max_window_bits"},
     "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11",
     {false, false, 11, 11}},
    {"larger windows are brought down to our cap",
     kDedicated11,
     {"permessage-deflate; server_max_window_bits=14; client_max_window_bits=12"},
     "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11",
     {false, false, 11, 11}},
    {"smaller ones are kept",
     kDedicated11,
     {"permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"},
     "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
     {false, false, 10, 9}},
    {"a client that cannot be told of our cap keeps no context",
     kDedicated11,
     {"permessage-deflate"},
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=11",
     {false, kNoClientContext, 11, 15}},
    {"all four in any order",
     kDedicated,
     {"permessage-deflate; client_max_window_bits=12; server_no_context_takeover; "
      "server_max_window_bits=13; client_no_context_takeover"},
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
     "server_max_window_bits=13; client_max_window_bits=12",
     {kNoServerContext, kNoClientContext, 13, 12}},
    {"a quoted value",
     kDedicated,
     {R"(permessage-deflate; server_max_window_bits="10")"},
     "permessage-deflate; server_max_window_bits=10",
     {false, false, 10, 15}},
    {"a quoted value with an escape",
     kDedicated,
     {R"(permessage-deflate; server_max_window_bits="1\0")"},
     "permessage-deflate; server_max_window_bits=10",
     {false, false, 10, 15}},
    {"white space wherever it may stand",
     kDedicated,
     {"\t permessage-deflate ;\tserver_max_window_bits = 10 ; client_no_context_takeover \t"},
     "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
     {false, kNoClientContext, 10, 15}},
    {"none where none may stand",
     kDedicated,
     {"x,permessage-deflate;server_max_window_bits=10"},
     "permessage-deflate; server_max_window_bits=10",
     {false, false, 10, 15}},
    {"empty elements of a list", kDedicated, {",, permessage-deflate,"}, "permessage-deflate", {}},
    {"an empty line beside another",
     kDedicated,
     {"", "permessage-deflate"},
     "permessage-deflate",
     {}},
    {"other extensions are passed over",
     kDedicated,
     {R"(x-webkit-deflate-frame, foo; bar=1; bar="a", permessage-deflate)"},
     "permessage-deflate",
     {}},
    {"the first offer goes before the second",
     kDedicated,
     {"permessage-deflate; server_max_window_bits=10, permessage-deflate"},
     "permessage-deflate; server_max_window_bits=10",
     {false, false, 10, 15}},
    {"the first line goes before the second",
     kDedicated,
     {"permessage-deflate; server_no_context_takeover", "permessage-deflate"},
     "permessage-deflate; server_no_context_takeover",
     {kNoServerContext, false, 15, 15}},
    {"the second offer where the first cannot be taken",
     kDedicated,
     {"permessage-deflate; server_max_window_bits=16, permessage-deflate; "
      "client_no_context_takeover"},
     "permessage-deflate; client_no_context_takeover",
     {false, kNoClientContext, 15, 15}},
    {"the second line where the first has none to take",
     kDedicated,
     {"permessage-deflate; unknown", "bar", "permessage-deflate"},
     "permessage-deflate",
     {}},
};

TEST(NegotiateDeflate, AgreesToTheseOffersInTheseWords) {
  for (const AgreedCase& c : kAgreed) {
    SCOPED_TRACE(c.what);
    const DeflateAnswer answer = negotiate_deflate(c.lines, c.rules);
    ASSERT_EQ(answer.kind, AnswerKind::agreed);
    EXPECT_EQ(answer.response, c.response);
    EXPECT_EQ(answer.terms.server_no_context_takeover, c.terms.server_no_context_takeover);
    EXPECT_EQ(answer.terms.client_no_context_takeover, c.terms.client_no_context_takeover);
    EXPECT_EQ(answer.terms.server_window_bits, c.terms.server_window_bits);
    EXPECT_EQ(answer.terms.client_window_bits, c.terms.client_window_bits);
  }
}

TEST(NegotiateDeflate, TakesEachWindowFrom8To15) {
  for (unsigned bits = 8; bits <= 15; ++bits) {
    const std::string line = "permessage-deflate; client_max_window_bits=" + std::to_string(bits) +
                             "; server_max_window_bits=" + std::to_string(bits);
    const DeflateAnswer answer = negotiate_deflate(Lines{line}, kDedicated);
    ASSERT_EQ(answer.kind, AnswerKind::agreed) << line;
    EXPECT_EQ(answer.terms.server_window_bits, bits);
    EXPECT_EQ(answer.terms.client_window_bits, bits);
  }
}

struct Unanswered {
  std::string_view what;
  std::string_view line;
};

constexpr Unanswered kDeclined[] = {
    {"another extension", "x-webkit-deflate-frame"},
    {"names are matched in their case", "Permessage-Deflate"},
    {"a longer name", "permessage-deflate2"},
    {"an unknown parameter", "permessage-deflate; level=9"},
    {"a parameter's name in another case", "permessage-deflate; Server_No_Context_Takeover"},
    {"server_no_context_takeover has no value", "permessage-deflate; server_no_context_takeover=1"},
    {"client_no_context_takeover has no value",
     "permessage-deflate; client_no_context_takeover=true"},
    {"server_max_window_bits has a value", "permessage-deflate; server_max_window_bits"},
    {"a server's window of 7 bits", "permessage-deflate; server_max_window_bits=7"},
    {"a server's window of 16 bits", "permessage-deflate; server_max_window_bits=16"},
    {"a client's window of 7 bits", "permessage-deflate; client_max_window_bits=7"},
    {"a client's window of 16 bits", "permessage-deflate; client_max_window_bits=16"},
    {"a leading zero", "permessage-deflate; server_max_window_bits=08"},
    {"two of them, quoted", R"(permessage-deflate; client_max_window_bits="0010")"},
    {"a sign", "permessage-deflate; server_max_window_bits=+10"},
    {"a fraction", "permessage-deflate; client_max_window_bits=10.0"},
    {"hexadecimal", "permessage-deflate; client_max_window_bits=0xa"},
    {"a number of many digits", "permessage-deflate; server_max_window_bits=4294967306"},
    {"not a number", "permessage-deflate; client_max_window_bits=auto"},
    {"server_no_context_takeover twice",
     "permessage-deflate; server_no_context_takeover; server_no_context_takeover"},
    {"client_no_context_takeover twice",
     "permessage-deflate; client_no_context_takeover; client_no_context_takeover"},
    {"server_max_window_bits twice, alike",
     "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"},
    {"client_max_window_bits twice, without a value and with one",
     "permessage-deflate; client_max_window_bits; client_max_window_bits=10"},
    {"two offers, neither to be taken",
     "permessage-deflate; level=9, permessage-deflate; server_max_window_bits=99"},
};

TEST(NegotiateDeflate, DeclinesTheseOffersAndNotTheConnection) {
  for (const DeflateRules& rules : {kShared, kDedicated}) {
    for (const Unanswered& c : kDeclined) {
      const DeflateAnswer answer = negotiate_deflate(Lines{c.line}, rules);
      EXPECT_EQ(answer.kind, AnswerKind::none) << c.what;
      EXPECT_TRUE(answer.response.empty()) << c.what;
    }
  }
}

constexpr Unanswered kMalformed[] = {
    {"a list of nothing", ""},
    {"a list of empty elements", " , ,"},
    {"a parameter without an extension", "; server_no_context_takeover"},
    {"a semicolon with nothing behind it", "permessage-deflate;"},
    {"two semicolons", "permessage-deflate;; server_no_context_takeover"},
    {"a value without a name", "permessage-deflate; =10"},
    {"an equals sign with nothing behind it", "permessage-deflate; server_max_window_bits="},
    {"two values", "permessage-deflate; server_max_window_bits=10=11"},
    {"a value of the extension", "permessage-deflate=1"},
    {"two words", "permessage-deflate server_no_context_takeover"},
    {"two words for a value", "permessage-deflate; server_max_window_bits=1 0"},
    {"a name in quotes", R"("permessage-deflate")"},
    {"a parameter in quotes", R"(permessage-deflate; "server_no_context_takeover")"},
    {"a quote that is not closed", R"(permessage-deflate; server_max_window_bits="10)"},
    {"a quote that ends in an escape", R"(permessage-deflate; server_max_window_bits="10\)"},
    {"an empty quote", R"(permessage-deflate; server_max_window_bits="")"},
    {"a quoted value that is no token", R"(permessage-deflate; server_max_window_bits="1 0")"},
    {"more behind a quote", R"(permessage-deflate; server_max_window_bits="10"1)"},
    {"a separator", "permessage-deflate; a/b"},
    {"a byte that is not ASCII", "permessage-deflate; \xc3\xa9"},
    {"a control character", "permessage-deflate\x01"},
    {"a malformed offer behind one that can be taken", "permessage-deflate, foo;"},
};

TEST(NegotiateDeflate, TellsAMalformedHeaderFromAnOfferThatIsDeclined) {
  for (const DeflateRules& rules : {kShared, kDedicated}) {
    for (const Unanswered& c : kMalformed) {
      EXPECT_EQ(negotiate_deflate(Lines{c.line}, rules).kind, AnswerKind::malformed) << c.what;
    }
    const Lines behind{"permessage-deflate", "foo;"};
    EXPECT_EQ(negotiate_deflate(behind, rules).kind, AnswerKind::malformed) << "on a later line";
  }
}

TEST(NegotiateDeflate, AnswersNothingWhereNothingIsAskedOrAllowed) {
  EXPECT_EQ(negotiate_deflate({}, kShared).kind, AnswerKind::none);
  EXPECT_EQ(negotiate_deflate(Lines{"permessage-deflate"}, {}).kind, AnswerKind::none);
  EXPECT_EQ(negotiate_deflate(Lines{"foo;"}, {}).kind, AnswerKind::malformed) << "also when off";
}

}  // namespace
}  // namespace weir::wire
