#include "server/daemon/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarn::daemon {
namespace {

using testing::HasSubstr;
using testing::Not;

Result<Command> Parse(std::vector<const char*> words) {
  words.insert(words.begin(), "tarn-server");
  return ParseCommandLine(static_cast<int>(words.size()), words.data());
}

TEST(Options, DefaultsAreThoseOfTheDocumentation) {
  auto command = Parse({"--data-dir", "/d"});
  ASSERT_TRUE(command.ok()) << command.error().ToString();
  EXPECT_EQ(command->options.listen.Text(), "0.0.0.0:2049");
  EXPECT_EQ(command->options.control_socket, "/d/control.sock");
  EXPECT_EQ(command->options.engine, "local");
  EXPECT_EQ(command->options.lease.count(), 30);
  EXPECT_EQ(command->options.scrub_every.count(), 0);
  EXPECT_EQ(command->options.scrub_bytes_per_second, 64u << 20);
  EXPECT_EQ(command->options.log_level, "info");
  EXPECT_FALSE(command->options.closed);
  EXPECT_TRUE(Parse({"--data-dir", "/d", "--network", "closed"})->options.closed);
}

TEST(Options, EachWrongFlagIsNamedInOneLineWithTheFix) {
  std::vector<std::pair<std::vector<const char*>, const char*>> wrong{
      {{}, "--data-dir is missing"},
      {{"--data-dir", "relative"}, "--data-dir 'relative' must be an absolute path"},
      {{"--data-dir", "/d", "--listen", "2049"}, "--listen '2049': write ADDR:PORT"},
      {{"--data-dir", "/d", "--listen", "localhost:2049"}, "numeric address"},
      {{"--data-dir", "/d", "--listen", "::1:2049"}, "--listen '::1:2049'"},
      {{"--data-dir", "/d", "--listen", "1.2.3.4:70000"}, "--listen"},
      {{"--data-dir", "/d", "--file-system-id", "fs-1"}, "--file-system-id 'fs-1'"},
      {{"--data-dir", "/d", "--control-listen", "1.2.3.4:1"}, "needs --control-tls-dir"},
      {{"--data-dir", "/d", "--control-tls-dir", "/t"}, "needs --control-listen"},
      {{"--data-dir", "/d", "--control-socket", "c.sock"}, "--control-socket"},
      {{"--data-dir", "/d", "--tls", "always"}, "--tls 'always': use off, optional or required"},
      {{"--data-dir", "/d", "--tls", "required"}, "--tls required needs --tls-dir"},
      {{"--data-dir", "/d", "--network", "shut"}, "--network 'shut': use open or closed"},
      {{"--data-dir", "/d", "--http-listen", "9401"}, "--http-listen '9401'"},
      {{"--data-dir", "/d", "--lease", "0"}, "--lease 0: use 1 to 3600 seconds"},
      {{"--data-dir", "/d", "--scrub-every", "-1"}, "--scrub-every -1: use 0 (never)"},
      {{"--data-dir", "/d", "--scrub-rate", "0"}, "--scrub-rate 0: use 1 to"},
      {{"--data-dir", "/d", "--lease", "soon"}, "--lease"},
      {{"--data-dir", "/d", "--engine", "magic"}, "--engine 'magic': use local or memory"},
      {{"--data-dir", "/d", "--prepare-data-dir", "root"}, "write UID:GID in digits"},
      {{"--data-dir", "/d", "--colour"}, "--colour"},
  };
  for (const auto& [words, message] : wrong) {
    auto command = Parse(words);
    ASSERT_FALSE(command.ok()) << message;
    EXPECT_THAT(command.error().message(), HasSubstr(message));
    EXPECT_THAT(command.error().message(), Not(HasSubstr("\n")));
  }
}

TEST(Options, TlsIsOptionalWhereThereIsACertificate) {
  auto tls = [](std::vector<const char*> words) {
    words.insert(words.begin(), {"--data-dir", "/d"});
    return Parse(words).value().options.tls;
  };
  EXPECT_EQ(tls({}), TlsUse::kOff);
  EXPECT_EQ(tls({"--tls-dir", "/t"}), TlsUse::kOptional);
  EXPECT_EQ(tls({"--tls-dir", "/t", "--tls", "required"}), TlsUse::kRequired);
  EXPECT_EQ(tls({"--tls-dir", "/t", "--tls", "off"}), TlsUse::kOff);
}

TEST(Options, ASocketPathThatIsTooLongIsRefusedAtStart) {
  std::string dir = "/" + std::string(120, 'd');
  auto command = Parse({"--data-dir", dir.c_str()});
  EXPECT_THAT(command.error().message(), HasSubstr("107 bytes"));
  EXPECT_TRUE(Parse({"--data-dir", dir.c_str(), "--control-socket", "/run/c.sock"}).ok());
}

TEST(Options, AddressesOfBothFamilies) {
  EXPECT_EQ(ParseHostPort("--listen", "[::]:2049")->host, "::");
  EXPECT_EQ(ParseHostPort("--listen", "[::]:2049")->Text(), "[::]:2049");
  EXPECT_EQ(ParseHostPort("--listen", "127.0.0.1:0")->port, 0);
}

TEST(Options, Keys) {
  auto command = Parse({"--data-dir", "/d", "--key", "a=file:///a", "--key", "b=file:///b",
                        "--default-key", "b", "--key-unavailable-max", "5"});
  ASSERT_TRUE(command.ok()) << command.error().ToString();
  EXPECT_EQ(command->options.keys.size(), 2u);
  EXPECT_EQ(command->options.default_key, "b");
  EXPECT_EQ(command->options.key_unavailable_max, std::chrono::minutes{5});
  for (std::vector<const char*> words : {std::vector{"--default-key", "a"},
                                         {"--file-system-key", "a"},
                                         {"--key-check-every", "31"},
                                         {"--key-check-every", "0"},
                                         {"--key-unavailable-max", "-1"}}) {
    std::vector<const char*> all{"--data-dir", "/d"};
    all.insert(all.end(), words.begin(), words.end());
    EXPECT_EQ(Parse(all).code(), Code::kInvalid) << words[0];
  }
}

TEST(Options, PreparingNeedsNothingElse) {
  auto command = Parse({"--data-dir", "/d", "--prepare-data-dir", "1000:1001"});
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(command->options.prepare_data_dir->uid, 1000u);
  EXPECT_EQ(command->options.prepare_data_dir->gid, 1001u);
}

TEST(Options, HelpAndVersionAreTexts) {
  EXPECT_THAT(*Parse({"--help"})->text, HasSubstr("--control-tls-dir"));
  EXPECT_THAT(*Parse({"--version"})->text, HasSubstr("tarn-server "));
}

}  // namespace
}  // namespace tarn::daemon
