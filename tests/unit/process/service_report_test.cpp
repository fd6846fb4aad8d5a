#include "weir/process/service_report.h"

#include <gtest/gtest.h>

#include "instants.h"

namespace weir::process {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPatience = seconds{25};

constexpr ServiceState kStarting{.serving = 1, .workers = 2};
constexpr ServiceState kServing{
    .ready = true, .sound = true, .serving = 2, .workers = 2, .connections = 7};

/// What is due, taken as sent.
std::string said(ServiceReport& report, const ServiceState& state, Instant now) {
  const std::string due = report.due(state, now);
  report.sent();
  return due;
}

TEST(ServiceReport, ReadyIsSaidOnceWhenEveryWorkerHasServed) {
  ServiceReport report{Duration::zero(), kPatience};
  EXPECT_EQ(said(report, kStarting, kStart), "STATUS=0 connections, 1 of 2 workers serving\n");
  EXPECT_EQ(said(report, kServing, kStart), "READY=1\n") << "the status a second later";
  EXPECT_EQ(said(report, kServing, kStart + seconds{1}),
            "STATUS=7 connections, 2 of 2 workers serving\n");
  EXPECT_EQ(said(report, kServing, kStart + seconds{60}), "");
}

TEST(ServiceReport, TheStatusIsSaidOnceASecondAndOnlyWhenItChanged) {
  ServiceReport report{Duration::zero(), kPatience};
  ServiceState state = kServing;
  (void)said(report, state, kStart);
  int lines = 0;
  for (int tick = 1; tick <= 100; ++tick) {
    ++state.connections;
    lines += said(report, state, kStart + tick * milliseconds{100}).empty() ? 0 : 1;
  }
  EXPECT_EQ(lines, 10);
}

TEST(ServiceReport, WhatTheManagerDidNotTakeIsDueAgain) {
  ServiceReport report{seconds{30}, kPatience};
  const std::string due = report.due(kServing, kStart);
  EXPECT_EQ(due, "READY=1\nSTATUS=7 connections, 2 of 2 workers serving\nWATCHDOG=1\n");
  EXPECT_EQ(report.due(kServing, kStart), due);
  report.sent();
  EXPECT_EQ(report.due(kServing, kStart), "");
}

TEST(ServiceReport, TheWatchdogIsKeptQuietWhileSomeWorkerIsSound) {
  ServiceReport report{seconds{30}, kPatience};
  ServiceState state = kServing;
  (void)said(report, state, kStart);
  EXPECT_EQ(said(report, state, kStart + seconds{9}), "");
  EXPECT_EQ(said(report, state, kStart + seconds{10}), "WATCHDOG=1\n");
  state.sound = false;
  EXPECT_EQ(said(report, state, kStart + seconds{20}), "");
  EXPECT_EQ(said(report, state, kStart + seconds{600}), "");
  state.sound = true;
  EXPECT_EQ(said(report, state, kStart + seconds{601}), "WATCHDOG=1\n") << "at once, not later";
}

TEST(ServiceReport, WithoutAWatchdogNothingIsSaidToIt) {
  ServiceReport report{Duration::zero(), kPatience};
  (void)said(report, kServing, kStart);
  EXPECT_EQ(said(report, kServing, kStart + seconds{600}), "");
}

TEST(ServiceReport, StoppingAsksForTheTimeThatItMayTake) {
  ServiceReport report{seconds{30}, kPatience};
  (void)said(report, kServing, kStart);
  ServiceState state = kServing;
  state.stopping = true;
  state.sound = false;
  EXPECT_EQ(said(report, state, kStart + seconds{1}),
            "STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000\nSTATUS=stopping, 7 connections left\n");
  state.connections = 1;
  EXPECT_EQ(said(report, state, kStart + seconds{11}),
            "STATUS=stopping, 1 connection left\nWATCHDOG=1\n");
}

TEST(ServiceReport, AServiceThatStopsBeforeItWasReadyNeverIs) {
  ServiceReport report{Duration::zero(), kPatience};
  ServiceState state = kServing;
  state.stopping = true;
  EXPECT_EQ(said(report, state, kStart).find("READY"), std::string::npos);
}

TEST(ServiceReport, AReloadIsFramedByReloadingAndReady) {
  ServiceReport report{Duration::zero(), kPatience};
  (void)said(report, kServing, kStart);
  EXPECT_EQ(report.reloading(kStart + milliseconds{1}), "RELOADING=1\nMONOTONIC_USEC=5000001000\n");
  EXPECT_EQ(said(report, kServing, kStart + milliseconds{2}), "READY=1\n");
  EXPECT_EQ(said(report, kServing, kStart + milliseconds{3}), "");
}

}  // namespace
}  // namespace weir::process
